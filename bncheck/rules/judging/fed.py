"""A wrong input: what layers say of it, and the same samples fed as they are and changed, in words and numbers."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence, Paired
from bncheck.results import Cost, Measure, score_object, score_value
from bncheck.rules.judging.measures import noise_of, single
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import Harm, Remedy


def is_fed_wrongly(evidence: Evidence) -> bool:
    """Tell whether the layers that the input feeds lie farther off than other data bring them, and most others do not.

    Whatever is fed, layers behind others see much the same once those normalize by the batch, unless it goes past them:
    where most of them lie far off even so, the input is not known to be wrong.
    """
    fed = evidence.closer.fed_by_input
    own = [layer.own_gap for name, layer in evidence.measured.items() if name not in fed and layer.own_gap is not None]
    return is_fed_from_afar(evidence) and not (own and median(own) > THRESHOLDS.far_gap)


def is_fed_from_afar(evidence: Evidence) -> bool:
    """Tell whether a layer that the input feeds lies farther off than other data bring it."""
    return max(gaps_fed_by_input(evidence), default=0.0) > THRESHOLDS.input_far


def gaps_fed_by_input(evidence: Evidence) -> list[float]:
    """Give the gaps of the layers that the input feeds, as shipped."""
    return [layer.gap for name, layer in evidence.measured.items() if name in evidence.closer.fed_by_input]


def recalibrating_wins_more(seen: Paired, evidence: Evidence) -> bool:
    """Tell whether recalibrated statistics would win far more of the task's score than the change of the input."""
    ahead = ahead_of(seen, evidence)
    return ahead is not None and ahead > THRESHOLDS.accuracy_left


def ahead_of(seen: Paired, evidence: Evidence) -> float | None:
    """Give by how much recalibrated statistics do better at the task than the changed input, in the score's unit.

    `None` where there is no such score of both.
    """
    if evidence.effect is None:
        return None
    whole, accuracy = evidence.effect.foremost.task, evidence.effect.foremost.accuracy
    if whole is not None and seen.task is not None and whole.task == seen.task.task:
        ahead = (whole.score.other - seen.task.score.other) / whole.unit
        return None if math.isnan(ahead) else ahead if whole.larger_is_better else -ahead
    if accuracy is None or accuracy.recalibrated is None or seen.after.accuracy is None:
        return None
    return accuracy.recalibrated - seen.after.accuracy


def tried_in_words(seen: Paired, how: str) -> str:
    """Tell what the change did, in one sentence."""
    where = f"{'layer' if len(seen.layers) == 1 else 'layers'} {some_names(seen.layers)}"
    text = f"{how}, the gap of {where} falls from {_gap(seen.before.gap)} to {_gap(seen.after.gap)}"
    if told := score_in_words(seen):
        text += f", and {told}"
    elif seen.predictions_changed is not None:
        text += f", and {seen.predictions_changed:.1%} of the predictions change"
    else:
        text += f", and the outputs move by {seen.output_change:.1%}"
    return f"{text} ({seen.samples} samples)."


def score_in_words(seen: Paired) -> str:
    """Tell what becomes of the task's score; nothing without labels."""
    before, after, gain = seen.before.accuracy, seen.after.accuracy, seen.gain
    if seen.task is not None:
        name, score = seen.task.score_name, seen.task.score
        verb = "goes" if score.gain <= 0 else "rises" if seen.task.larger_is_better else "falls"
        return (
            f"{score_object(name)} {verb} from {score_value(name, score.shipped)} to {score_value(name, score.other)}"
        )
    if before is None or after is None or gain is None:
        return ""
    return f"accuracy {'rises' if gain > 0 else 'goes'} from {before:.1%} to {after:.1%}"


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
    if seen.task is not None:
        told = seen.task.as_score()
        return Cost(
            told.name, told.stored, told.recalibrated, told.low, told.high, remedy, told.samples, harm=_harm(seen)
        )
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
    if seen.wins is None:
        return Harm.SHOWN if seen.moves_outputs else Harm.UNKNOWN
    if not seen.wins:
        return Harm.UNKNOWN
    unit = 1.0 if seen.task is None else seen.task.unit
    return Harm.LARGE if (seen.gain or 0.0) > THRESHOLDS.large_cost * unit else Harm.SHOWN


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
        "accuracy_gain": None if seen.before.accuracy is None else seen.gain,
        "accuracy_gain_error": None if seen.before.accuracy is None else seen.gain_error,
        **_score_of(seen),
        "information_before": seen.before.information,
        "information_after": seen.after.information,
        "predictions_changed": seen.predictions_changed,
        "output_change": seen.output_change,
    }


def _score_of(seen: Paired) -> dict[str, Any]:
    """Give the task's own score, where that is not the accuracy."""
    if seen.task is None or seen.task.counts_right:
        return {}
    score = seen.task.score
    return {
        "score": seen.task.score_name,
        "score_before": score.shipped,
        "score_after": score.other,
        "score_gain": score.gain,
        "score_gain_error": seen.gain_error,
    }


def _gap(gap: float) -> str:
    return f"{gap:.0f}" if gap >= 100 else f"{gap:.2g}"
