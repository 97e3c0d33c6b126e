"""What drift costs in predictions, how grave that is, and what was measured to help."""

from __future__ import annotations

import math

from bncheck.core import THRESHOLDS, poor_accuracy
from bncheck.evidence import EffectEvidence, Evidence
from bncheck.results import Cost
from bncheck.vocabulary import Remedy, Severity

ELSEWHERE = "statistics measured on other samples of these data"
TWO_SIDED_Z = 1.96
"""Standard errors to either side that make a 95 % interval."""


def severity_of(effect: EffectEvidence | None) -> Severity:
    """Judge how much the predictions suffer, beyond what noise in the statistics does to them."""
    if effect is None:
        return Severity.INFO
    gain = _sure_gain(effect)
    changed = _beyond_noise(effect.predictions_changed, effect.changed_by_noise)
    if gain is not None:
        # Labels decide: what recalibration wins is what the drift costs at the least.
        if gain > THRESHOLDS.gain_margin:
            return Severity.ERROR if (effect.gain or 0.0) > THRESHOLDS.large_effect else Severity.WARNING
        # Predictions that were right as shipped and change speak for the stored statistics, unless few were.
        weighed = changed if _is_poor(effect) else changed - (effect.lost or 0.0)
        return Severity.WARNING if weighed > THRESHOLDS.large_effect else Severity.INFO
    if effect.predictions_changed is not None:
        if changed <= THRESHOLDS.changed_margin or _suits_better(effect):
            return Severity.INFO
        return Severity.ERROR if changed > THRESHOLDS.large_effect else Severity.WARNING
    output = _beyond_noise(effect.output_change, effect.output_change_by_noise)
    return Severity.WARNING if output > THRESHOLDS.output_margin else Severity.INFO


def weighed(evidence: Evidence, without_data: Severity) -> Severity:
    """Give the severity of a fault that is certain from the file: by what it costs, where that was measured."""
    return without_data if evidence.effect is None else at_most_warning(evidence.effect)


def fits_as_shipped(effect: EffectEvidence | None) -> bool:
    """Tell whether statistics, odd as they are, were measured to serve these data no worse than the data's own."""
    if effect is None or severity_of(effect) != Severity.INFO:
        return False
    return (effect.gain or 0.0) <= 0 if _sure_gain(effect) is not None else _suits_better(effect)


def or_leave(evidence: Evidence, severity: Severity, fix: str) -> str:
    """Give `fix`, unless data have shown that the predictions do not suffer."""
    return (
        what_helps(evidence.effect, Severity.INFO) if evidence.effect is not None and severity == Severity.INFO else fix
    )


def at_most_warning(effect: EffectEvidence | None) -> Severity:
    """Give the severity of what may well be harmless: a warning where the predictions suffer, however much."""
    return Severity.INFO if severity_of(effect) == Severity.INFO else Severity.WARNING


def _sure_gain(effect: EffectEvidence) -> float | None:
    """Lower 95 % bound of the accuracy that recalibration wins; `None` without labels, or for a user's metric."""
    if effect.gain is None or effect.gain_error is None:
        return None
    return effect.gain - THRESHOLDS.confidence_z * effect.gain_error


def _by_metric(effect: EffectEvidence) -> bool:
    """Tell whether a metric of the user's stands in the place of accuracy."""
    return effect.gain is not None and effect.gain_error is None


def is_sure_to_cost(effect: EffectEvidence | None) -> bool:
    """Tell whether recalibration wins so much accuracy that smaller gaps count too (a lag of the moving average)."""
    gain = None if effect is None else _sure_gain(effect)
    return gain is not None and gain > THRESHOLDS.sure_gain


def margin_of(effect: EffectEvidence | None) -> float:
    """Give the gap that counts: a smaller one where accuracy is sure to suffer."""
    return THRESHOLDS.near_margin if is_sure_to_cost(effect) else THRESHOLDS.margin


def wins_accuracy(effect: EffectEvidence | None) -> bool:
    """Tell whether recalibration is sure to win accuracy."""
    gain = None if effect is None else _sure_gain(effect)
    return gain is not None and gain > THRESHOLDS.gain_margin


def _is_poor(effect: EffectEvidence) -> bool:
    """Tell whether the accuracy as shipped is nearer to the guessing baseline than to perfect."""
    if effect.accuracy is None or effect.accuracy.stored is None or not effect.classes:
        return False
    return effect.accuracy.stored < poor_accuracy(effect.classes)


def _suits_better(effect: EffectEvidence) -> bool:
    """Tell whether the model tells these inputs apart clearly better by its stored statistics than by their own.

    So it is where training augments far more than evaluation does, or went on with frozen statistics.
    """
    if effect.information is None or effect.information_recalibrated is None:
        return False
    return effect.information_recalibrated < (1 - THRESHOLDS.information_margin) * effect.information


def _beyond_noise(value: float | None, noise: float | None) -> float:
    if value is None or math.isnan(value):
        return 0.0
    return value - THRESHOLDS.effect_noises * (noise or 0.0)


def cost_of(effect: EffectEvidence | None, evidence: Evidence, remedy: Remedy = Remedy.RECALIBRATED) -> Cost | None:
    """Give the cost by the number that decides: accuracy or metric, else the predictions or outputs that change."""
    if effect is None:
        return None
    samples = evidence.data.samples if evidence.data is not None else None
    accuracy = effect.accuracy
    if accuracy is not None and accuracy.stored is not None and accuracy.recalibrated is not None:
        low = high = None
        if effect.gain is not None and effect.gain_error is not None:
            width = TWO_SIDED_Z * effect.gain_error
            low, high = effect.gain - width, effect.gain + width
        score = "metric" if _by_metric(effect) else "accuracy"
        return Cost(score, accuracy.stored, accuracy.recalibrated, low, high, remedy, samples)
    if effect.predictions_changed is not None:
        return Cost("predictions changed", None, effect.predictions_changed, remedy=remedy, samples=samples)
    if effect.output_change is not None and math.isfinite(effect.output_change):
        return Cost("output change", None, effect.output_change, remedy=remedy, samples=samples)
    return None


def in_words(effect: EffectEvidence | None) -> str:
    """Tell the cost in one sentence."""
    if effect is None:
        return "What it costs could not be measured."
    if effect.accuracy and effect.accuracy.stored is not None and effect.accuracy.recalibrated is not None:
        stored, recalibrated = effect.accuracy.stored, effect.accuracy.recalibrated
        if _by_metric(effect):
            return f"The metric is {stored:.3g} as shipped and {recalibrated:.3g} with {ELSEWHERE}."
        return f"Accuracy is {stored:.1%} as shipped and {recalibrated:.1%} with {ELSEWHERE}."
    if effect.predictions_changed is not None:
        return f"{effect.predictions_changed:.1%} of the predictions change with statistics measured on these data."
    if effect.output_change is not None:
        return f"The outputs move by {effect.output_change:.1%} with statistics measured on these data."
    return "What it costs could not be measured."


def _no_gain(effect: EffectEvidence) -> str:
    """What measuring the accuracy of recalibrated statistics has shown where a gain is not sure."""
    gain, error = effect.gain or 0.0, effect.gain_error or 0.0
    return "costs accuracy" if gain + THRESHOLDS.confidence_z * error < 0 else "wins no accuracy beyond doubt"


def what_helps(effect: EffectEvidence | None, severity: Severity) -> str:
    """Tell what was measured to help here, and what was measured not to."""
    if effect is None:
        return "Compare with data like those it was trained on, to tell stale statistics from another domain."
    gain = _sure_gain(effect)
    if gain is not None and gain > THRESHOLDS.gain_margin:
        return (
            "Recalibrate the statistics, which was measured to help here; make sure first that the preprocessing "
            "(scaling, mean and std, channel order) matches training."
        )
    if gain is not None and severity == Severity.INFO:
        return (
            f"Leave the statistics as they are: recalibrating was measured and {_no_gain(effect)}. If the accuracy is "
            "below what it was in training, check the preprocessing (scaling, mean and std, channels)."
        )
    if gain is not None:
        return (
            f"Recalibrating does not help here: it was measured and {_no_gain(effect)}. Check the preprocessing; if "
            "the data are really another domain, fine-tune on them."
        )
    if severity == Severity.INFO and _suits_better(effect):
        return (
            "Do not recalibrate on these data: the model would tell them apart less well. Give labels (y in the data) "
            "to see whether its accuracy is what it should be."
        )
    if severity == Severity.INFO:
        return "Nothing has to be done: the predictions hardly change."
    if _by_metric(effect):
        return (
            "Check the preprocessing first (scaling, mean and std, channel order). Then recalibrate the statistics if "
            "that still raises the metric: how sure the rise is, one number does not tell."
            if (effect.gain or 0.0) > 0
            else "Check the preprocessing (scaling, mean and std, channels): recalibrating does not raise the metric."
        )
    return (
        "Check the preprocessing first (scaling, mean and std, channel order). Give labels (y in the data) to see "
        "whether recalibrating the statistics would help."
    )
