"""Drift: stored statistics that do not describe the data, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.evidence import EffectEvidence, Evidence, MeasuredLayer
from bncheck.report import ERROR, INFO, WARNING, Finding
from bncheck.thresholds import CHANGED_MARGIN, GAIN_MARGIN, INFORMATION_MARGIN, LARGE_EFFECT, MARGIN, OUTPUT_MARGIN

CONFIDENCE_Z = 1.645
"""One-sided 95 % of the normal distribution."""
NAMED = 3


def above_limit(evidence: Evidence) -> Iterator[Finding]:
    """BN600: a measured layer exceeds the limit the user set; a gap that is not a number passes no limit."""
    limit = evidence.max_gap
    if limit is None:
        return
    for name, layer in evidence.measured.items():
        if not layer.gap <= limit:
            shown = f"{layer.gap:.3g}" if math.isfinite(layer.gap) else "not a number"
            yield Finding(
                code="BN600",
                severity=ERROR,
                layer=name,
                message=f"{name}: the gap is {shown}, above the limit of {limit:g}.",
                fix="See the other findings for the cause; raise --max-gap only if this gap is meant to be there.",
                evidence={"gap": layer.gap if math.isfinite(layer.gap) else str(layer.gap), "limit": limit},
            )


def drift(evidence: Evidence) -> Iterator[Finding]:
    """BN603: gaps above the margin with confidence; a warning or an error only where predictions suffer."""
    yield from _not_finite(evidence)
    drifted = [layer for layer in evidence.measured.values() if layer.lower > MARGIN]
    if not drifted:
        return
    worst = max(drifted, key=lambda layer: layer.lower)
    severity = _severity(evidence.effect)
    yield Finding(
        code="BN603",
        severity=severity,
        layer=worst.layer.name if len(drifted) == 1 else None,
        message=(
            f"The stored statistics of {_named(drifted)} do not describe these data "
            f"(gap {worst.gap:.2g} in {worst.layer.name}). {_cost(evidence.effect)}"
        ),
        fix=_fix(evidence.effect, severity),
        evidence=_evidence(drifted, worst, evidence),
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


def _named(drifted: list[MeasuredLayer]) -> str:
    if len(drifted) > NAMED:
        return f"{len(drifted)} layers"
    return ", ".join(layer.layer.name for layer in drifted)


def _severity(effect: EffectEvidence | None) -> str:
    """How much the predictions suffer, beyond what noise in the statistics does to them."""
    if effect is None:
        return INFO
    gain = _sure_gain(effect)
    changed = _beyond_noise(effect.predictions_changed, effect.changed_by_noise)
    if gain is not None:
        # Labels decide: what recalibration wins is what the drift costs at the least.
        if gain > GAIN_MARGIN:
            return ERROR if (effect.gain or 0.0) > LARGE_EFFECT else WARNING
        # Predictions that were right as shipped and change speak for the stored statistics.
        return WARNING if changed - (effect.lost or 0.0) > LARGE_EFFECT else INFO
    if effect.predictions_changed is not None:
        if changed <= CHANGED_MARGIN or _suits_better(effect):
            return INFO
        return ERROR if changed > LARGE_EFFECT else WARNING
    output = _beyond_noise(effect.output_change, effect.output_change_by_noise)
    return WARNING if output > OUTPUT_MARGIN else INFO


def _sure_gain(effect: EffectEvidence) -> float | None:
    """Lower 95 % bound of the accuracy that recalibration wins; `None` without labels."""
    if effect.gain is None:
        return None
    return effect.gain - CONFIDENCE_Z * (effect.gain_error or 0.0)


def _suits_better(effect: EffectEvidence) -> bool:
    """Whether the model tells these inputs apart clearly better by its stored statistics than by their own.

    So it is where training augments far more than evaluation does, or went on with frozen statistics.
    """
    if effect.information is None or effect.information_recalibrated is None:
        return False
    return effect.information_recalibrated < (1 - INFORMATION_MARGIN) * effect.information


def _beyond_noise(value: float | None, noise: float | None) -> float:
    if value is None or math.isnan(value):
        return 0.0
    return value - 2 * (noise or 0.0)


def _cost(effect: EffectEvidence | None) -> str:
    if effect is None:
        return "What it costs could not be measured."
    if effect.accuracy and effect.accuracy.stored is not None and effect.accuracy.recalibrated is not None:
        return (
            f"Accuracy is {effect.accuracy.stored:.1%} as shipped and {effect.accuracy.recalibrated:.1%} with "
            "statistics measured on other samples of these data."
        )
    if effect.predictions_changed is not None:
        return f"{effect.predictions_changed:.1%} of the predictions change with statistics measured on these data."
    if effect.output_change is not None:
        return f"The outputs move by {effect.output_change:.1%} with statistics measured on these data."
    return "What it costs could not be measured."


def _fix(effect: EffectEvidence | None, severity: str) -> str:
    if effect is None:
        return "Compare with data like those it was trained on, to tell stale statistics from another domain."
    gain = _sure_gain(effect)
    if gain is not None and gain > GAIN_MARGIN:
        return (
            "Check the preprocessing first (scaling, mean and std, channel order): if it matches training, recalibrate "
            "the statistics, which was measured to help here."
        )
    if gain is not None and severity == INFO:
        return "Leave the statistics as they are: recalibrating was measured and wins no accuracy beyond doubt."
    if gain is not None:
        return (
            "Recalibrating does not help here: it was measured and wins no accuracy beyond doubt. Check the "
            "preprocessing; if the data are really another domain, fine-tune on them."
        )
    if severity == INFO and _suits_better(effect):
        return (
            "Do not recalibrate on these data: the model would tell them apart less well. Give labels (y in the data) "
            "to see whether its accuracy is what it should be."
        )
    if severity == INFO:
        return "Nothing has to be done: the predictions hardly change."
    return (
        "Check the preprocessing first (scaling, mean and std, channel order). Give labels (y in the data) to see "
        "whether recalibrating the statistics would help."
    )


def _evidence(drifted: list[MeasuredLayer], worst: MeasuredLayer, evidence: Evidence) -> dict[str, object]:
    effect = evidence.effect
    return {
        "layers": [layer.layer.name for layer in drifted],
        "measured": len(evidence.measured),
        "worst_layer": worst.layer.name,
        "gap": worst.gap,
        "gap_lower_bound": worst.lower,
        "own_gap": worst.own_gap,
        "margin": MARGIN,
        "predictions_changed": effect.predictions_changed if effect else None,
        "changed_by_noise": effect.changed_by_noise if effect else None,
        "output_change": effect.output_change if effect else None,
        "accuracy_gain": effect.gain if effect else None,
        "accuracy_gain_error": effect.gain_error if effect else None,
        "accuracy_lost": effect.lost if effect else None,
        "information": effect.information if effect else None,
        "information_recalibrated": effect.information_recalibrated if effect else None,
    }
