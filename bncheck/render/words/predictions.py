"""What recalibrating does to the predictions is put into words here, by what they are judged by."""

from __future__ import annotations

import math

from bncheck.render.words.cells import number
from bncheck.results import SHARES, HeadEffect, Report, score_object, score_title

ACCURACY, METRIC = "accuracy", "metric"
AS_SHIPPED, BY_BATCH = "as shipped", "normalized by the batch"


def prediction_lines(report: Report, *, briefly: bool = False) -> list[str]:
    """Accuracy by each set of statistics, and what recalibrating changes; briefly without how that was measured."""
    effect = report.effect
    if effect is None:
        return []
    lines = []
    name, values = scored(report)
    if effect.heads:
        lines += [line for head in effect.heads if (line := _of_head(head, briefly=briefly))]
    elif values:
        lines.append(f"{score_title(name)}: {_listed(name, values, briefly=briefly)}.")
    if effect.output_change is not None and not math.isfinite(effect.output_change):
        return [*lines, "The outputs are not finite, so how far recalibrating moves them cannot be told."]
    if effect.predictions_changed is not None:
        moved = f"changes {percent(effect.predictions_changed)} of the predictions"
    elif effect.output_change is not None:
        moved = f"moves the outputs by {percent(effect.output_change)}"
    else:
        return lines
    how = "" if briefly else " (measured on one half of these data, judged on the other)"
    whose = "" if effect.head is None else f" of {effect.head}, the output that loses most"
    return [*lines, f"Recalibrating {moved}{whose}{how}."]


def _of_head(head: HeadEffect, *, briefly: bool) -> str:
    """The score of one of several outputs by each set of statistics; empty where labels are of no known task."""
    score = head.score
    if score is None:
        return ""
    told = _listed(score.name, _by_statistics(score.stored, score.batch, score.recalibrated), briefly=briefly)
    return f"{score_title(score.name)} of {head.head}: {told}."


def _listed(name: str, values: list[tuple[float, str]], *, briefly: bool) -> str:
    told = values if not briefly else [value for value in values if value[1] != BY_BATCH]
    return ", ".join(f"{score_shown(name, each)} {how}" for each, how in told)


def _by_statistics(*values: float | None) -> list[tuple[float, str]]:
    named = zip(values, (AS_SHIPPED, BY_BATCH, "recalibrated"), strict=True)
    return [(value, how) for value, how in named if value is not None]


def scored(report: Report) -> tuple[str, list[tuple[float, str]]]:
    """What predictions are judged by, and its value with each set of statistics; nothing without labels."""
    effect = report.effect
    if effect is None:
        return "", []
    score, accuracy = effect.score, effect.accuracy
    if score is not None and (score.name not in (ACCURACY, METRIC) or accuracy is None):
        name, told = score.name, (score.stored, score.batch, score.recalibrated)
    elif accuracy is not None:
        name = METRIC if report.run.asked.metric else ACCURACY
        told = (accuracy.stored, accuracy.batch, accuracy.recalibrated)
    else:
        return "", []
    return name, _by_statistics(*told)


def suffering(report: Report) -> str:
    """What is sure to be worse than it could be, by what the task is judged by."""
    if report.effect is None or (score := report.effect.score) is None:
        return "predictions are sure to suffer"
    suffers = "suffer" if score.larger_is_better else "be larger than it need be"
    return f"{score_object(score.name)} is sure to {suffers}"


def score_shown(name: str, value: float | None) -> str:
    """A value of that score, in percent where it is a share."""
    return percent(value) if name in SHARES else number(value)


def percent(value: float | None) -> str:
    """With one decimal; as `number` where it is not finite."""
    return number(value) if value is None or not math.isfinite(value) else f"{value:.1%}"
