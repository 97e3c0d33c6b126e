"""From findings to a verdict and an exit code; no torch is needed to judge a report again."""

from bncheck.gate.verdict import Coverage, Verdict, judge_findings

__all__ = ["Coverage", "Verdict", "judge_findings"]
