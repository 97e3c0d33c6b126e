"""Which rules a report had the means to judge: those selected, whose needs were met."""

from __future__ import annotations

from collections.abc import Iterable

from bncheck.results.report import Report
from bncheck.rules.catalogue import RULES
from bncheck.rules.rule import Rule

_TENSORS_ONLY = ("state_dict", "safetensors")


def judged_rules(report: Report) -> tuple[Rule, ...]:
    """Give the rules that were judged, in order; a rule that was found is among them whatever it needs."""
    options = report.run.options
    selected, ignored = codes_in(options.get("select")) or ("BN",), codes_in(options.get("ignore"))
    found = {finding.code for finding in report.findings}
    return tuple(
        rule
        for rule in RULES
        if rule.code in found
        or (rule.code.startswith(selected) and not rule.code.startswith(ignored) and _had_means(rule, report))
    )


def codes_in(value: object) -> tuple[str, ...]:
    """Read codes as an option keeps them: by comma, in a list, or both."""
    values = [value] if isinstance(value, str) else value if isinstance(value, Iterable) else ()
    return tuple(code.strip().upper() for item in values for code in str(item).split(",") if code.strip())


def _had_means(rule: Rule, report: Report) -> bool:
    """Tell whether it could be judged: by the stored values alone, or by all that it needs."""
    options = report.run.options
    given = {
        "data": report.data is not None,
        "reference": options.get("reference") is not None,
        "architecture": report.model.format not in _TENSORS_ONLY or options.get("arch") is not None,
    }
    return "statistics" in rule.needs or all(given.get(need, False) for need in rule.needs)
