"""Findings are ranked by their measure, the rule's own number, and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bncheck.results import Finding
from bncheck.vocabulary import Severity, Worse

BANDS = {Severity.ERROR: (70.0, 100.0), Severity.WARNING: (40.0, 70.0), Severity.INFO: (10.0, 40.0)}
"""What SARIF calls a rank, out of 100: graver findings lie above all that are less grave."""


def badness(finding: Finding) -> float:
    """The measure turned so that a higher one is worse; what cannot be told is mildest."""
    value = finding.measure.value
    if value is None or math.isnan(value):
        return -math.inf
    return value if finding.measure.worse is Worse.HIGHER else -value


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of one rule in the order of their measures; those alike stay in theirs."""
    return sorted(findings, key=badness, reverse=True)


def ranks(findings: Sequence[Finding]) -> list[float]:
    """For every finding its rank: within its severity's band, the worst of each rule highest.

    Measures of different rules have different units, so each is compared with its own rule's alone.
    """
    alike: dict[tuple[str, Severity], list[float]] = {}
    for finding in findings:
        alike.setdefault((finding.code, Severity(finding.severity)), []).append(badness(finding))
    return [_rank(finding, alike[finding.code, Severity(finding.severity)]) for finding in findings]


def _rank(finding: Finding, among: Sequence[float]) -> float:
    low, high = BANDS[Severity(finding.severity)]
    worse = sum(other > badness(finding) for other in among)
    return round(high - (high - low) * worse / len(among), 1)
