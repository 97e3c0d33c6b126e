from .acceptance import accept, shrunk, unaccepted
from .again import Limits, judge_again
from .baseline import Baseline, Entry, accepted_now
from .baseline_file import baseline_text, read_baseline
from .saved import read_report, report_of
from .verdict import FAIL_ON, Coverage, Verdict, fail_on_named, judge_findings

__all__ = [
    "FAIL_ON",
    "Baseline",
    "Coverage",
    "Entry",
    "Limits",
    "Verdict",
    "accept",
    "accepted_now",
    "baseline_text",
    "fail_on_named",
    "judge_again",
    "judge_findings",
    "read_baseline",
    "read_report",
    "report_of",
    "shrunk",
    "unaccepted",
]
