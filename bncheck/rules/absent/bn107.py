"""BN107: the means were learned and the variances are the initial ones, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core import OTHER, NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, or_leave
from bncheck.rules.judging.harm import weighed
from bncheck.rules.judging.initial import has_initial_means, has_initial_variances, learning_layers, was_trained
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning for the layers without means, and one for those without variances; with data, by the cost."""
    layers = [layer for layer in learning_layers(evidence, unclassed=True) if layer.kind != OTHER]
    for half, other, initial, suspects in (
        ("means", "variances", 0.0, [layer for layer in layers if has_initial_means(layer)]),
        ("variances", "means", 1.0, [layer for layer in layers if has_initial_variances(layer)]),
    ):
        if any(map(was_trained, suspects)):
            yield _finding(half, other, initial, suspects, evidence)


def _finding(half: str, other: str, initial: float, layers: Sequence[NormLayer], evidence: Evidence) -> Finding:
    severity = weighed(evidence, Severity.WARNING)
    names = tuple(layer.name for layer in layers)
    return Finding(
        code="BN107",
        severity=severity,
        layers=names,
        message=(
            f"The {half} of {name_some(layers)} are the initial ones, {initial:g} in every channel, although the "
            f"{other} were learned: whatever wrote this file copied one of the two."
        ),
        fix=or_leave(
            evidence,
            severity,
            f"Write the file again with the {half} too (running_mean and running_var belong together). Where nobody "
            "has them any more, recalibrate the statistics on training data.",
        ),
        measure=layers_counted(names),
        cost=cost_of(evidence.effect, evidence),
        evidence={"layers": list(names), "initial_half": half, "initial_value": initial, "learned_half": other},
    )
