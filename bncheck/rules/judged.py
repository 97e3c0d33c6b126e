"""Which rules a report had the means to judge: those selected, whose needs were met."""

from __future__ import annotations

from bncheck.results import Report
from bncheck.rules.catalogue import RULES
from bncheck.rules.rule import Rule


def judged_rules(report: Report) -> tuple[Rule, ...]:
    """Give the rules that were judged, in order; a rule that was found is among them whatever it needs."""
    asked = report.run.asked
    selected, ignored = asked.select or ("BN",), asked.ignore
    found = {finding.code for finding in report.findings}
    return tuple(
        rule
        for rule in RULES
        if rule.code in found
        or (rule.code.startswith(selected) and not rule.code.startswith(ignored) and _had_means(rule, report))
    )


def _had_means(rule: Rule, report: Report) -> bool:
    """Tell whether it could be judged: by the stored values alone, or by all that it needs."""
    asked = report.run.asked
    given = {
        "data": report.data is not None,
        "reference": asked.reference,
        "architecture": bool(report.model.runnable),
    }
    return "statistics" in rule.needs or all(given.get(need, False) for need in rule.needs)
