"""From findings to a verdict and an exit code; no torch is needed to judge a report again."""

from bncheck.gate.again import Limits, judge_again
from bncheck.gate.saved import read_report, report_of
from bncheck.gate.verdict import FAIL_ON, Coverage, Verdict, fail_on_named, judge_findings

__all__ = [
    "FAIL_ON",
    "Coverage",
    "Limits",
    "Verdict",
    "fail_on_named",
    "judge_again",
    "judge_findings",
    "read_report",
    "report_of",
]
