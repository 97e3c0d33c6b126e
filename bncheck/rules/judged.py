"""Which rules a report had the means to judge, those selected whose needs were met, and why it judged no others."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.results import Report
from bncheck.rules.catalogue import RULES
from bncheck.rules.rule import Rule


def judged_rules(report: Report) -> tuple[Rule, ...]:
    """Give the rules that were judged, in order; a rule that was found is among them whatever it needs."""
    return tuple(rule for rule in RULES if why_not_judged(rule, report) is None)


def why_not_judged(rule: Rule, report: Report) -> str | None:
    """Give the reason why a rule was not judged, in a few words; `None` where it was."""
    asked = report.run.asked
    if any(finding.code == rule.code for finding in report.findings):
        return None
    if not rule.code.startswith(asked.select or ("BN",)):
        return "not selected"
    if rule.code.startswith(asked.ignore):
        return "ignored"
    lacking = list(_lacking(rule, report))
    return f"needs {' and '.join(lacking)}" if lacking else None


def _lacking(rule: Rule, report: Report) -> Iterator[str]:
    """What it would take to judge the rule; nothing where the stored values alone do."""
    if "statistics" in rule.needs:
        return
    given = {
        "data": report.data is not None,
        "reference": report.run.asked.reference,
        "architecture": bool(report.model.runnable),
    }
    yield from (need for need in rule.needs if not given.get(need, False))
