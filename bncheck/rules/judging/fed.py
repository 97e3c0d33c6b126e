"""The same samples fed as they are and changed: what that says of a wrong input, in words, numbers and cost."""

from __future__ import annotations

from typing import Any

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence, Paired
from bncheck.results import Cost, Measure
from bncheck.rules.judging.measures import noise_of, single
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import Harm, Remedy


def recalibrating_wins_more(seen: Paired, evidence: Evidence) -> bool:
    """Tell whether recalibrated statistics would win far more accuracy than the change of the input."""
    accuracy = None if evidence.effect is None else evidence.effect.accuracy
    if accuracy is None or accuracy.recalibrated is None or seen.after.accuracy is None:
        return False
    return accuracy.recalibrated - seen.after.accuracy > THRESHOLDS.accuracy_left


def tried_in_words(seen: Paired, how: str) -> str:
    """Tell what the change did, in one sentence."""
    where = f"{'layer' if len(seen.layers) == 1 else 'layers'} {some_names(seen.layers)}"
    text = f"{how}, the gap of {where} falls from {_gap(seen.before.gap)} to {_gap(seen.after.gap)}"
    if seen.before.accuracy is not None and seen.after.accuracy is not None and seen.gain is not None:
        verb = "rises" if seen.gain > 0 else "goes"
        text += f", and accuracy {verb} from {seen.before.accuracy:.1%} to {seen.after.accuracy:.1%}"
    elif seen.predictions_changed is not None:
        text += f", and {seen.predictions_changed:.1%} of the predictions change"
    else:
        text += f", and the outputs move by {seen.output_change:.1%}"
    return f"{text} ({seen.samples} samples)."


def what_remains(seen: Paired) -> str:
    """Tell that another fault is left, where a gap over all layers is."""
    left = seen.after.model_gap
    return f" Then inspect again: a gap of {left:.2g} over all layers is left." if left > THRESHOLDS.margin else ""


def measure_of(seen: Paired, evidence: Evidence) -> Measure:
    """Measure by the gap of the layers that the input feeds, as they are fed."""
    layers = [evidence.measured[name] for name in seen.layers if name in evidence.measured]
    return single("gap", seen.before.gap, noise=noise_of(layers))


def cost_of_change(seen: Paired, remedy: Remedy) -> Cost:
    """Give what was lost as the samples were fed, by what the change won."""
    before, after = seen.before.accuracy, seen.after.accuracy
    if before is not None and after is not None:
        low = high = None
        if seen.gain is not None and seen.gain_error is not None:
            width = THRESHOLDS.two_sided_z * seen.gain_error
            low, high = seen.gain - width, seen.gain + width
        return Cost("accuracy", before, after, low, high, remedy, seen.samples, harm=_harm(seen))
    if seen.predictions_changed is not None:
        return Cost(
            "predictions changed", None, seen.predictions_changed, remedy=remedy, samples=seen.samples, harm=_harm(seen)
        )
    return Cost("output change", None, seen.output_change, remedy=remedy, samples=seen.samples, harm=_harm(seen))


def _harm(seen: Paired) -> Harm:
    """Tell what the comparison shows of the cost."""
    if seen.wins_accuracy is None:
        return Harm.SHOWN if seen.moves_outputs else Harm.UNKNOWN
    if not seen.wins_accuracy:
        return Harm.UNKNOWN
    return Harm.LARGE if (seen.gain or 0.0) > THRESHOLDS.large_cost else Harm.SHOWN


def numbers_of(seen: Paired) -> dict[str, Any]:
    """Give the numbers for the reader."""
    return {
        "layers": list(seen.layers),
        "samples": seen.samples,
        "gap_before": seen.before.gap,
        "gap_after": seen.after.gap,
        "model_gap_before": seen.before.model_gap,
        "model_gap_after": seen.after.model_gap,
        "accuracy_before": seen.before.accuracy,
        "accuracy_after": seen.after.accuracy,
        "accuracy_gain": seen.gain,
        "accuracy_gain_error": seen.gain_error,
        "information_before": seen.before.information,
        "information_after": seen.after.information,
        "predictions_changed": seen.predictions_changed,
        "output_change": seen.output_change,
    }


def _gap(gap: float) -> str:
    return f"{gap:.0f}" if gap >= 100 else f"{gap:.2g}"
