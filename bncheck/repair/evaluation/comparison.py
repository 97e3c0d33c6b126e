"""The outcome of a repair: the model is better, worse, or neither, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bncheck.core import CHANGED_MARGIN, CONFIDENCE_Z, GAIN_MARGIN, INFORMATION_MARGIN, MARGIN
from bncheck.evidence import EffectEvidence
from bncheck.results import BETTER, NO_DIFFERENCE, UNDECIDED, WORSE, Comparison, Outcome, Report


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
        information_before=effect.information,
        information_after=effect.information_recalibrated,
    )


def outcome_of(comparison: Comparison | None, before: Report, after: Report) -> Outcome:
    """`better`, `no-difference`, `undecided` or `worse`.

    Labels decide where there are any: worse is a loss that is sure (95 %, samples paired) or larger than
    `GAIN_MARGIN`, better a gain that is sure. Without them the predictions must not tell clearly less about the
    inputs than before, nor the gap grow beyond the margin; whether a change is for the better nobody can know then.

    Args:
        comparison: on samples that the repair has not seen.
        before: on the model as shipped, on the data that judge.
        after: on the repaired one, on the same data.
    """
    if comparison is not None and comparison.gain is not None:
        return _by_labels(comparison.gain, comparison.gain_error)
    if _tells_less(comparison) or _gap_grew(before, after):
        return WORSE
    return _without_labels(comparison)


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


def _by_labels(gain: float, error: float | None) -> Outcome:
    if math.isnan(gain):
        return UNDECIDED
    if error is None:  # a user's metric, whose scale is not known
        return BETTER if gain > 0 else WORSE if gain < 0 else NO_DIFFERENCE
    if gain + CONFIDENCE_Z * error < 0 or gain <= -GAIN_MARGIN:
        return WORSE
    return BETTER if gain - CONFIDENCE_Z * error > 0 else NO_DIFFERENCE


def _tells_less(comparison: Comparison | None) -> bool:
    if comparison is None or comparison.information_before is None or comparison.information_after is None:
        return False
    before, after = comparison.information_before, comparison.information_after
    return math.isnan(after) or after < (1 - INFORMATION_MARGIN) * before


def _gap_grew(before: Report, after: Report) -> bool:
    """Whether the repaired statistics describe the data worse, by more than healthy layers show."""
    then, now = before.summary.gap, after.summary.gap
    if then is None or now is None or math.isnan(then):
        return False
    return not now <= max(then, before.run.thresholds["margin"])


def _without_labels(comparison: Comparison | None) -> Outcome:
    if comparison is None:
        return UNDECIDED
    change = comparison.output_change
    if change is not None and not math.isfinite(change):
        return BETTER  # outputs that were not finite are now: the information would have told otherwise
    moved = comparison.predictions_changed if comparison.predictions_changed is not None else change
    return NO_DIFFERENCE if moved is not None and moved <= CHANGED_MARGIN else UNDECIDED
