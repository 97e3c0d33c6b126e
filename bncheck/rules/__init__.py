"""The rules: one function each, from the evidence to findings. They never see a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from bncheck.catalogue import RULES, SEVERITY_ORDER
from bncheck.evidence import Evidence
from bncheck.report import Finding
from bncheck.rules.absent import missing_statistics, never_updated
from bncheck.rules.composition import leans_on_composition
from bncheck.rules.coverage import folded_away, not_exercised, too_few_samples
from bncheck.rules.drift import above_limit, drift
from bncheck.rules.input import permuted, scaled
from bncheck.rules.invariance import depends_on_mates
from bncheck.rules.mode import training_mode
from bncheck.rules.reference import export_differs
from bncheck.rules.values import negative_variance, not_finite

JUDGES: dict[str, Callable[[Evidence], Iterable[Finding]]] = {
    "BN101": missing_statistics,
    "BN102": never_updated,
    "BN201": not_finite,
    "BN202": negative_variance,
    "BN403": export_differs,
    "BN600": above_limit,
    "BN601": scaled,
    "BN602": permuted,
    "BN603": drift,
    "BN610": leans_on_composition,
    "BN701": training_mode,
    "BN703": depends_on_mates,
    "BN705": folded_away,
    "BN706": not_exercised,
    "BN707": too_few_samples,
}
ALL = frozenset(JUDGES)


def judge(evidence: Evidence, codes: Collection[str] = ALL) -> tuple[Finding, ...]:
    """Every finding of the rules `codes` that the evidence supports, one cause once, the gravest first."""
    findings = [finding for code in sorted(codes) for finding in JUDGES[code](evidence)]
    found = {finding.code for finding in findings}
    suppressed = {code for rule in RULES if rule.code in found for code in rule.suppresses}
    kept = [finding for finding in findings if finding.code not in suppressed]
    return tuple(sorted(kept, key=lambda finding: (SEVERITY_ORDER[finding.severity], finding.code)))
