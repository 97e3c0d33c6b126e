"""Drift: stored statistics that do not describe the data, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.gate.limit import beyond_limit
from bncheck.report import ERROR, Finding
from bncheck.rules.cost import in_words, is_sure_to_cost, severity_of, what_helps
from bncheck.thresholds import MARGIN, NEAR_MARGIN

NAMED = 3


def above_limit(evidence: Evidence) -> Iterator[Finding]:
    """BN600: a measured layer exceeds the limit the user set; a gap that is not a number passes no limit."""
    limit = evidence.max_gap
    if limit is None:
        return
    for name, layer in evidence.measured.items():
        if (finding := beyond_limit(name, layer.gap, limit)) is not None:
            yield finding


def drift(evidence: Evidence) -> Iterator[Finding]:
    """BN603: gaps above the margin with confidence; a warning or an error only where predictions suffer."""
    yield from _not_finite(evidence)
    margin = NEAR_MARGIN if is_sure_to_cost(evidence.effect) else MARGIN
    drifted = [layer for layer in evidence.measured.values() if layer.lower > margin]
    if not drifted:
        return
    origin = _origin(drifted, margin)
    worst = max(origin, key=lambda layer: layer.lower)
    severity = severity_of(evidence.effect)
    yield Finding(
        code="BN603",
        severity=severity,
        layer=worst.layer.name if len(origin) == 1 else None,
        message=(
            f"The stored statistics of {_named(origin)} do not describe these data "
            f"({_largest(origin, worst)}){_heirs(drifted, origin)}. {in_words(evidence.effect)}"
        ),
        fix=what_helps(evidence.effect, severity),
        evidence=_evidence(drifted, origin, worst, margin, evidence),
    )


def _not_finite(evidence: Evidence) -> Iterator[Finding]:
    """The first layer whose input on these data is not finite; those behind it inherit the values."""
    for name, layer in evidence.measured.items():
        if not math.isfinite(layer.gap):
            yield Finding(
                code="BN603",
                severity=ERROR,
                layer=name,
                message=f"On these data the input of {name} is not finite, so nothing can be compared from there on.",
                fix="Look for NaN or infinity in the data, and for overflow in the layers before (half precision).",
                evidence={
                    "gap": str(layer.gap),
                    "measured_mean": str(layer.mean.sum()),
                    "measured_var": str(layer.var.sum()),
                },
            )
            return


def _origin(drifted: list[MeasuredLayer], margin: float) -> list[MeasuredLayer]:
    """The layers whose own statistics are off; all of them where the batch pass does not tell."""
    own = [layer for layer in drifted if layer.own_gap is not None and layer.own_gap > margin]
    return own or drifted


def _largest(origin: list[MeasuredLayer], worst: MeasuredLayer) -> str:
    return f"gap {worst.gap:.2f}" + (f" in {worst.layer.name}" if len(origin) > 1 else "")


def _heirs(drifted: list[MeasuredLayer], origin: list[MeasuredLayer]) -> str:
    number = len(drifted) - len(origin)
    if number == 0:
        return ""
    return f", and {number} {'layer inherits' if number == 1 else 'layers inherit'} the error"


def _named(drifted: list[MeasuredLayer]) -> str:
    if len(drifted) > NAMED:
        return f"{len(drifted)} layers"
    return ", ".join(layer.layer.name for layer in drifted)


def _evidence(
    drifted: list[MeasuredLayer], origin: list[MeasuredLayer], worst: MeasuredLayer, margin: float, evidence: Evidence
) -> dict[str, object]:
    effect = evidence.effect
    names = [layer.layer.name for layer in origin]
    return {
        "layers": names,
        "inherited_by": [layer.layer.name for layer in drifted if layer.layer.name not in names],
        "measured": len(evidence.measured),
        "worst_layer": worst.layer.name,
        "gap": worst.gap,
        "gap_lower_bound": worst.lower,
        "own_gap": worst.own_gap,
        "margin": margin,
        "predictions_changed": effect.predictions_changed if effect else None,
        "changed_by_noise": effect.changed_by_noise if effect else None,
        "output_change": effect.output_change if effect else None,
        "accuracy_gain": effect.gain if effect else None,
        "accuracy_gain_error": effect.gain_error if effect else None,
        "accuracy_lost": effect.lost if effect else None,
        "information": effect.information if effect else None,
        "information_recalibrated": effect.information_recalibrated if effect else None,
    }
