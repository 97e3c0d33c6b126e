"""What drift costs in predictions, in numbers and in words, and what was measured to help."""

from __future__ import annotations

import math

from bncheck.core import THRESHOLDS
from bncheck.evidence import EffectEvidence, Evidence, TaskEffect
from bncheck.results import Cost, score_subject, score_value
from bncheck.rules.judging.harm import harm_of, is_better, is_harmful, is_worse, most_changed, worse_heads
from bncheck.vocabulary import CHECK, Harm, Remedy, Severity, argument

ELSEWHERE = "statistics measured on other samples of these data"
UNMEASURED = "What it costs could not be measured."
CHECK_INPUT = "Check the preprocessing first (scaling, mean and std, channel order)"


def or_leave(evidence: Evidence, severity: Severity, fix: str) -> str:
    """Give `fix`, unless data have shown that the predictions do not suffer, or that recalibrating does not help."""
    excluded = harm_of(evidence.effect) is Harm.EXCLUDED and severity == Severity.INFO
    return what_helps(evidence.effect) if excluded or _is_no_help(evidence.effect) else fix


def repair_or_check(evidence: Evidence) -> str:
    """Give the command that recalibrates, unless labels have shown that this does not help."""
    return CHECK if _is_no_help(evidence.effect) else "repair"


def _is_no_help(effect: EffectEvidence | None) -> bool:
    """Tell whether a harm was shown, and recalibrating was measured not to mend it."""
    return effect is not None and effect.task is not None and is_harmful(effect) and not is_better(effect)


def cost_of(effect: EffectEvidence | None, evidence: Evidence, remedy: Remedy = Remedy.RECALIBRATED) -> Cost | None:
    """Give the cost by the number that decides: the task's score, else the predictions or outputs that change."""
    if effect is None:
        return None
    harm, samples = harm_of(effect), effect.samples
    if samples is None and evidence.data is not None:
        samples = evidence.data.samples
    task = effect.task
    if task is not None:
        told = task.as_score()
        return Cost(told.name, told.stored, told.recalibrated, told.low, told.high, remedy, told.samples, harm=harm)
    if effect.predictions_changed is not None:
        share = effect.predictions_changed
        return Cost("predictions changed", None, share, remedy=remedy, samples=samples, harm=harm)
    if effect.output_change is not None and math.isfinite(effect.output_change):
        return Cost("output change", None, effect.output_change, remedy=remedy, samples=samples, harm=harm)
    return None


def on_fewer(effect: EffectEvidence, evidence: Evidence) -> str:
    """Tell on how many samples it was measured, where that is not all that the report's own numbers are of."""
    whole = evidence.effect
    is_of_all = effect is whole or (whole is not None and effect.samples == whole.samples)
    return "" if is_of_all or effect.samples is None else f" ({effect.samples} samples)"


def in_words(effect: EffectEvidence | None, on: str = "") -> str:
    """Tell the cost in one or two sentences, and below which no cost could have been seen.

    Args:
        effect: what was measured.
        on: how many samples that was done on, from `on_fewer`.
    """
    if effect is None:
        return UNMEASURED
    task = effect.task
    if task is not None:
        shipped, other = (score_value(task.score_name, one) for one in (task.score.shipped, task.score.other))
        whose = "" if effect.head is None else f" of the output {effect.head}"
        told = f"{score_subject(task.score_name)}{whose} is {shipped} as shipped and {other} with {ELSEWHERE}{on}."
        return f"{told}{_power(task) if _is_open(effect) else ''}"
    if effect.predictions_changed is not None:
        return f"{effect.predictions_changed:.1%} of the predictions change with statistics measured on these data{on}."
    if effect.output_change is not None:
        return f"The outputs move by {effect.output_change:.1%} with statistics measured on these data{on}."
    return UNMEASURED


def _is_open(effect: EffectEvidence) -> bool:
    """Tell whether these samples showed neither a cost nor that there is none, nor which statistics are better."""
    return harm_of(effect) is Harm.UNKNOWN and not is_worse(effect) and not is_better(effect)


def _power(task: TaskEffect) -> str:
    """Tell the smallest cost that would have been seen."""
    smallest = task.score.visible(THRESHOLDS.two_sided_z)
    if not smallest:
        return ""  # a score over all samples at once that is the same with other statistics
    if not math.isfinite(smallest):
        return " So few samples cannot show what it costs."
    shown = score_value(task.score_name, smallest)
    return f" With these {task.score.samples} samples a loss below {shown} cannot be seen."


def what_helps(effect: EffectEvidence | None) -> str:
    """Tell what was measured to help here, what was measured not to, and what is not known."""
    if effect is None:
        return "Compare with data like those it was trained on, to tell stale statistics from another domain."
    harm = harm_of(effect)
    if effect.task is not None:
        return _by_task(effect, effect.task, harm)
    if harm is Harm.EXCLUDED:
        return f"Nothing has to be done: {_at_most(effect)}."
    if effect.accuracy is not None:
        return f"{CHECK_INPUT}. More samples would show whether recalibrating the statistics would help."
    return f"{CHECK_INPUT}. Give labels (y in the data) to see whether recalibrating the statistics would help."


def _at_most(effect: EffectEvidence) -> str:
    """Tell the little that changes, where a cost is excluded."""
    share, moved = effect.predictions_changed, effect.output_change
    if share is not None:
        most = most_changed(share, effect.samples or effect.predictions)
        return f"at most {most:.1%} of the predictions change (95 %)"
    return f"the outputs move by {moved or 0.0:.1%}"


def _by_task(effect: EffectEvidence, task: TaskEffect, harm: Harm) -> str:
    if is_better(effect):
        little = " (by enough to count, these samples do not show)" if harm is Harm.UNKNOWN else ""
        return (
            f"Recalibrate the statistics, which was measured to help here{little}; make sure first that the "
            "preprocessing (scaling, mean and std, channel order) matches training."
        )
    if harm is Harm.EXCLUDED:
        return (
            f"Leave the statistics as they are: recalibrating was measured and {_no_gain(task)}. If the "
            f"{task.score_name} is below what it was in training, check the preprocessing (scaling, mean and std, "
            "channels)."
        )
    if harm is Harm.UNKNOWN:
        worse = f"Recalibrating does not help: it was measured and {_no_gain(task)}."
        return f"{CHECK_INPUT}. {worse if is_worse(effect) else _how_many(task)}"
    if heads := worse_heads(effect):
        return (
            f"Recalibrating was measured to help {effect.head} and to make {' and '.join(heads)} worse: check the "
            f"preprocessing, or name the one output that counts with {argument('output')}."
        )
    return (
        f"Recalibrating does not help here: it was measured and {_no_gain(task)}. Check the preprocessing; if "
        "the data are really another domain, fine-tune on them."
    )


def more_samples(effect: EffectEvidence | None) -> str:
    """Tell what would show whether recalibrating helps, where that is not known."""
    if effect is None or effect.task is None:
        return "Give more samples, and labels (y in the data), to see whether recalibrating the statistics would help."
    return _how_many(effect.task)


def _how_many(task: TaskEffect) -> str:
    """Tell how many samples would show whether recalibrating helps."""
    score, z = task.score, THRESHOLDS.two_sided_z
    if not math.isfinite(score.error) or not score.samples:
        return "Give more samples to see whether recalibrating the statistics would help."
    needed = score.samples * (z * score.error / (THRESHOLDS.excluded_cost * task.unit)) ** 2
    wanted = max(THRESHOLDS.fewest_excluding, 2 * score.samples, needed)
    return f"About {math.ceil(wanted / 100) * 100} samples would show whether recalibrating the statistics helps."


def _no_gain(task: TaskEffect) -> str:
    """Tell what measuring recalibrated statistics has shown where a gain is not sure."""
    score, z = task.score, THRESHOLDS.two_sided_z
    if score.gain + z * score.error < 0:
        return "makes the predictions worse"
    if not math.isfinite(score.error):
        return "wins nothing"
    return f"wins at most {score_value(task.score_name, score.high(z))} (95 %)"
