"""What recalibrating does to the predictions is put into words here, by what they are judged by."""

from __future__ import annotations

import math

from bncheck.render.words.cells import number
from bncheck.results import SHARES, Report, score_title

ACCURACY, METRIC = "accuracy", "metric"
AS_SHIPPED, BY_BATCH = "as shipped", "normalized by the batch"


def prediction_lines(report: Report, *, briefly: bool = False) -> list[str]:
    """Accuracy by each set of statistics, and what recalibrating changes; briefly without how that was measured."""
    effect = report.effect
    if effect is None:
        return []
    lines = []
    name, values = scored(report)
    if values:
        told = values if not briefly else [value for value in values if value[1] != BY_BATCH]
        lines.append(f"{score_title(name)}: {', '.join(f'{score_shown(name, each)} {how}' for each, how in told)}.")
    if effect.output_change is not None and not math.isfinite(effect.output_change):
        return [*lines, "The outputs are not finite, so how far recalibrating moves them cannot be told."]
    if effect.predictions_changed is not None:
        moved = f"changes {percent(effect.predictions_changed)} of the predictions"
    elif effect.output_change is not None:
        moved = f"moves the outputs by {percent(effect.output_change)}"
    else:
        return lines
    how = "" if briefly else " (measured on one half of these data, judged on the other)"
    return [*lines, f"Recalibrating {moved}{how}."]


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
    named = zip(told, (AS_SHIPPED, BY_BATCH, "recalibrated"), strict=True)
    return name, [(value, how) for value, how in named if value is not None]


def score_shown(name: str, value: float | None) -> str:
    """A value of that score, in percent where it is a share."""
    return percent(value) if name in SHARES else number(value)


def percent(value: float | None) -> str:
    """With one decimal; as `number` where it is not finite."""
    return number(value) if value is None or not math.isfinite(value) else f"{value:.1%}"
