"""The outcome of a repair: the model is better, worse, or neither, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bncheck.core import CONFIDENCE_Z, MARGIN, THRESHOLDS
from bncheck.evidence import EffectEvidence, TaskEffect
from bncheck.results import BETTER, NO_DIFFERENCE, UNDECIDED, WORSE, Comparison, Outcome, Report
from bncheck.rules import harm_of, is_better
from bncheck.vocabulary import Harm


def comparison_of(effect: EffectEvidence | None) -> Comparison | None:
    """What the held-out evaluation showed, in a repair's words: as shipped is before, other statistics are after."""
    if effect is None:
        return None
    accuracy = effect.accuracy
    return Comparison(
        accuracy_before=accuracy.stored if accuracy else None,
        accuracy_after=accuracy.recalibrated if accuracy else None,
        gain=effect.gain,
        gain_error=effect.gain_error,
        predictions=effect.predictions,
        predictions_changed=effect.predictions_changed,
        output_change=effect.output_change,
        score=None if effect.task is None else effect.task.as_score(),
        head=effect.head,
        heads=effect.of_heads(),
    )


def outcome_of(effect: EffectEvidence | None, before: Report, after: Report) -> Outcome:
    """`better`, `no-difference`, `undecided` or `worse`.

    A gain of which nobody knows how sure it is, as of a metric over few samples, is `undecided`.

    Labels decide where there are any, by the yardstick that `inspect` judges by: better is a gain that is sure (95 %,
    samples paired) and not excluded to matter, worse a loss that is sure or larger than `gain_margin`. Of several
    outputs with labels the one that wins most decides, unless another gets worse. Without labels the
    gap must not grow beyond the margin; whether a change is for the better nobody can know then.

    Args:
        effect: of the repair, on samples that it has not seen.
        before: on the model as shipped, on the data that judge.
        after: on the repaired one, on the same data.
    """
    if effect is not None and effect.task is not None:
        each = [_by_labels(one, one.task) for one in effect.heads if one.task is not None]
        return WORSE if WORSE in each else _by_labels(effect, effect.task)
    if _gap_grew(before, after):
        return WORSE
    return _without_labels(effect)


def samples_needed(errors: Mapping[str, float], samples: int) -> int | None:
    """How many samples new statistics take, where they were measured on too few; else `None`.

    Too few are those after which the mean of a layer may be off (95 %) by more than the gap that matters. Where its
    error is not known nothing is said.

    Args:
        errors: of each layer's new mean, in standard deviations.
        samples: that they were measured on.
    """
    off = CONFIDENCE_Z * max(filter(math.isfinite, errors.values()), default=0.0)
    return math.ceil(samples * (off / MARGIN) ** 2) if off > MARGIN else None


def _by_labels(effect: EffectEvidence, task: TaskEffect) -> Outcome:
    score = task.score
    if math.isnan(score.gain):
        return UNDECIDED
    if is_better(effect):
        return BETTER
    if score.high(THRESHOLDS.confidence_z) < 0 or score.gain <= -THRESHOLDS.gain_margin * task.unit:
        return WORSE
    if score.gain and not math.isfinite(score.error):
        return UNDECIDED  # too few samples, or a metric that has no value without some of them: an inspection asks more
    return NO_DIFFERENCE


def _gap_grew(before: Report, after: Report) -> bool:
    """Whether the repaired statistics describe the data worse, by more than healthy layers show."""
    then, now = before.summary.gap, after.summary.gap
    if then is None or now is None or math.isnan(then):
        return False
    return not now <= max(then, before.run.thresholds["margin"])


def _without_labels(effect: EffectEvidence | None) -> Outcome:
    if effect is None:
        return UNDECIDED
    before, after = effect.not_finite
    if before or after:  # outputs that were not finite may be now
        return BETTER if after < before else WORSE if after > before else NO_DIFFERENCE
    return NO_DIFFERENCE if harm_of(effect) is Harm.EXCLUDED else UNDECIDED
