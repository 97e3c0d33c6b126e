"""What was measured of the harm to the predictions: shown, excluded, or not known, which is never harmless."""

from __future__ import annotations

import math

from bncheck.core import THRESHOLDS, poor_accuracy
from bncheck.evidence import EffectEvidence, Evidence, TaskEffect
from bncheck.vocabulary import Harm, Severity

_SEVERITY = {
    Harm.LARGE: Severity.ERROR,
    Harm.SHOWN: Severity.WARNING,
    Harm.UNKNOWN: Severity.INFO,
    Harm.EXCLUDED: Severity.INFO,
}


def harm_of(effect: EffectEvidence | None) -> Harm:
    """Tell what the comparison with other statistics shows, whichever rule names the cause.

    Labels decide: by the task's score, and by the share of its errors. Without them, the predictions or outputs that
    change: a score cannot differ by more than these. A loss alone decides nothing here: it falls where a model that
    is wrong becomes less sure.
    """
    if effect is None:
        return Harm.UNKNOWN
    if effect.task is not None:
        return _by_task(effect, effect.task)
    if effect.predictions_changed is not None:
        return _by_predictions(effect, effect.predictions_changed)
    return _by_outputs(effect)


def at_least(severity: Severity, harm: Harm) -> Severity:
    """Give the graver of a severity and the one that a measured harm deserves."""
    return min(severity, _SEVERITY[harm], key=lambda each: each.rank)


def severity_of(effect: EffectEvidence | None) -> Severity:
    """Give the severity that the measured harm deserves."""
    return _SEVERITY[harm_of(effect)]


def severity_beyond(effect: EffectEvidence | None, gap: float) -> Severity:
    """Give the severity by cost; a gap that no healthy model shows counts where its cost is not known."""
    severity = severity_of(effect)
    if severity != Severity.INFO or harm_of(effect) is Harm.EXCLUDED or not may_win(effect):
        return severity
    return Severity.WARNING if gap > THRESHOLDS.far_gap else severity


def weighed(evidence: Evidence, certain: Severity) -> Severity:
    """Give the severity of a fault that is certain from the file: `certain`, unless its cost was shown or excluded."""
    harm = harm_of(evidence.effect)
    return certain if harm is Harm.UNKNOWN else _SEVERITY[harm]


def is_harmful(effect: EffectEvidence | None) -> bool:
    """Tell whether a cost was shown."""
    return harm_of(effect) in (Harm.LARGE, Harm.SHOWN)


def wins(effect: EffectEvidence | None) -> bool:
    """Tell whether recalibration is sure to win by the task's own yardstick."""
    return effect is not None and effect.task is not None and _is_shown(effect.task)


def is_better(effect: EffectEvidence | None) -> bool:
    """Tell whether other statistics were measured to be better: by a gain that is sure and not excluded to matter.

    What an inspection advises and what a repair comes to go by this alone, so that they agree. Where several outputs
    have labels of their own, none of them may get worse.
    """
    task = None if effect is None else effect.task
    if effect is None or task is None or worse_heads(effect):
        return False
    is_sure = task.score.low(THRESHOLDS.confidence_z) > 0
    return wins(effect) or (is_sure and harm_of(effect) is not Harm.EXCLUDED)


def speaks_for_recalibrating(effect: EffectEvidence | None) -> bool:
    """Tell whether what was measured supports recalibrating: score or loss, without labels the predictions that change.

    What is advised goes by this, however sure the fault itself is: few samples measure statistics badly, too.
    """
    if effect is None or harm_of(effect) is Harm.EXCLUDED:
        return False
    if effect.task is None:
        return is_harmful(effect)
    return is_better(effect) or (loss_falls(effect) and not is_worse(effect))


def may_win(effect: EffectEvidence | None) -> bool:
    """Tell whether recalibration, without labels or by these, may win: score or loss are better with it.

    On few samples no decision or two may change, all for the worse, while the loss of all falls by half.
    """
    task = None if effect is None else effect.task
    if task is None or task.score.gain > 0:
        return True
    return task.loss is not None and task.loss.gain > 0 and not is_worse(effect)


def is_sure_to_cost(effect: EffectEvidence | None) -> bool:
    """Tell whether so much is sure to be lost that smaller gaps count too (a lag of the moving average)."""
    task = None if effect is None else effect.task
    return task is not None and task.score.low(THRESHOLDS.confidence_z) > THRESHOLDS.sure_gain * task.unit


def is_sure_to_err(effect: EffectEvidence | None) -> bool:
    """Tell whether the score is an error that is sure to be less, by a share that matters, whatever the gaps are."""
    return effect is not None and effect.task is not None and _error_is_less(effect.task)


def margin_of(effect: EffectEvidence | None) -> float:
    """Give the gap that counts: a smaller one where the score is sure to suffer, least where that is an error."""
    if is_sure_to_err(effect):
        return THRESHOLDS.least_margin
    return THRESHOLDS.near_margin if is_sure_to_cost(effect) else THRESHOLDS.margin


def fits_as_shipped(effect: EffectEvidence | None) -> bool:
    """Tell whether statistics, odd as they are, were measured to serve these data no worse than the data's own."""
    return harm_of(effect) is Harm.EXCLUDED and (effect is None or (effect.gain or 0.0) <= 0)


def is_worse(effect: EffectEvidence | None) -> bool:
    """Tell whether recalibration was measured to make the task's score worse (95 %)."""
    task = None if effect is None else effect.task
    if task is None or not math.isfinite(task.score.error):
        return False
    return task.score.gain + THRESHOLDS.two_sided_z * task.score.error < 0


def worse_heads(effect: EffectEvidence) -> tuple[str, ...]:
    """Name the outputs, of several with labels of their own, that recalibration was measured to make worse."""
    return tuple(one.head for one in effect.heads if one.head is not None and is_worse(one))


def loss_falls(effect: EffectEvidence | None) -> bool:
    """Tell whether the paired loss is sure to be smaller with other statistics, however little.

    It moves before a decision does, so it shows what a layer that is wrong by itself costs on few samples.
    """
    task = None if effect is None else effect.task
    return task is not None and task.loss is not None and task.loss.t > THRESHOLDS.task_z


def beyond_noise(value: float | None, noise: float | None) -> float:
    """Give a change less what noise in the statistics makes of it; 0 where it is not known."""
    if value is None or math.isnan(value):
        return 0.0
    return value - THRESHOLDS.effect_noises * (noise or 0.0)


def _by_task(effect: EffectEvidence, task: TaskEffect) -> Harm:
    gain = task.score.gain / task.unit
    if _score_rises(task) and gain > THRESHOLDS.large_cost:
        return Harm.LARGE
    if _errors_fall(task, THRESHOLDS.large_errors) and gain > THRESHOLDS.gain_margin:
        return Harm.LARGE
    if _is_shown(task):
        return Harm.SHOWN
    if task.counts_right and _changes_much(effect):
        return Harm.SHOWN
    return Harm.EXCLUDED if _is_excluded(task) else Harm.UNKNOWN


def _changes_much(effect: EffectEvidence) -> bool:
    """Tell whether many predictions change, to which right ones speak for the stored statistics, unless few were."""
    changed = beyond_noise(effect.predictions_changed, effect.changed_by_noise)
    weighed_change = changed if _is_poor(effect) else changed - (effect.lost or 0.0)
    return weighed_change > THRESHOLDS.large_effect


def _is_shown(task: TaskEffect) -> bool:
    return _score_rises(task) or _errors_fall(task, THRESHOLDS.errors_margin) or _error_is_less(task)


def _error_is_less(task: TaskEffect) -> bool:
    """Tell whether a score that is itself an error is sure to fall, and falls by a share that matters.

    Every sample tells how large it is, so that a small one is known well where hits that are counted are not.
    """
    lacking = None if task.larger_is_better else task.errors
    if lacking is None or not lacking > 0:
        return False
    return task.score.low(THRESHOLDS.task_z) > 0 and task.score.gain > THRESHOLDS.errors_margin * lacking


def _score_rises(task: TaskEffect) -> bool:
    return task.score.low(THRESHOLDS.confidence_z) > THRESHOLDS.gain_margin * task.unit


def _errors_fall(task: TaskEffect, share: float) -> bool:
    """Tell whether that share of what is lacking of perfect is won back at the least."""
    lacking = task.errors
    return lacking is not None and lacking > 0 and task.score.low(THRESHOLDS.task_z) > share * lacking


def _is_excluded(task: TaskEffect) -> bool:
    """Tell whether the score loses less than can matter, and of a score that is an error, little of that."""
    score = task.score
    if score.samples < THRESHOLDS.fewest_excluding:
        return False
    high = score.high(THRESHOLDS.two_sided_z)
    if not task.larger_is_better and task.errors is not None and high > THRESHOLDS.errors_margin * task.errors:
        return False
    return high <= THRESHOLDS.excluded_cost * task.unit


def _is_poor(effect: EffectEvidence) -> bool:
    """Tell whether the accuracy as shipped is nearer to the guessing baseline than to perfect."""
    if effect.accuracy is None or effect.accuracy.stored is None or not effect.classes:
        return False
    return effect.accuracy.stored < poor_accuracy(effect.classes)


def _by_predictions(effect: EffectEvidence, share: float) -> Harm:
    changed = beyond_noise(share, effect.changed_by_noise)
    samples = effect.samples or effect.predictions
    error = math.sqrt(share * (1 - share) / samples) if samples else math.inf
    if changed - THRESHOLDS.confidence_z * error > THRESHOLDS.changed_margin:
        return Harm.LARGE if changed > THRESHOLDS.large_effect else Harm.SHOWN
    high = most_changed(share, samples)
    return Harm.EXCLUDED if _are_enough(samples) and high <= THRESHOLDS.excluded_cost else Harm.UNKNOWN


def most_changed(share: float, samples: int) -> float:
    """Give the largest share of predictions (95 %) that may change, where so many of the samples were seen to."""
    if not samples:
        return math.inf
    error = math.sqrt(share * (1 - share) / samples)
    return max(share + THRESHOLDS.two_sided_z * error, 3 / samples)


def _by_outputs(effect: EffectEvidence) -> Harm:
    if effect.output_change is None or math.isnan(effect.output_change):
        return Harm.UNKNOWN
    if beyond_noise(effect.output_change, effect.output_change_by_noise) > THRESHOLDS.output_margin:
        return Harm.SHOWN
    is_small = effect.output_change <= THRESHOLDS.excluded_cost
    return Harm.EXCLUDED if is_small and _are_enough(effect.samples or 0) else Harm.UNKNOWN


def _are_enough(samples: int) -> bool:
    return samples >= THRESHOLDS.fewest_excluding
