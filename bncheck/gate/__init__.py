"""From findings to a verdict and an exit code; no torch is needed to judge a report again."""

from bncheck.gate.verdict import FAIL_ON, Coverage, Verdict, judge_findings

__all__ = ["FAIL_ON", "Coverage", "Verdict", "judge_findings"]
