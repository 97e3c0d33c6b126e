"""What a repair came to is put into plain words here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bncheck.render.words.cells import count, number
from bncheck.render.words.hidden import INSTANCE, what_a_repair_hides
from bncheck.render.words.reasons import reason_words
from bncheck.results import (
    BETTER,
    CROSS_FITTED,
    NO_DIFFERENCE,
    NOTHING,
    TOO_FEW,
    UNDECIDED,
    WORSE,
    Comparison,
    LayerRepair,
    RepairResult,
    Score,
    score_title,
    score_value,
)
from bncheck.vocabulary import argument, spelled

ACCURACY = "accuracy"
SMALL_SHARE = 0.25
"""A repair that removes a smaller share of the wrong predictions leaves the cause of the others."""
VERBS = {"recalibrate": "recalibrated", "blend": "blended", "renorm": "fine-tuned with Batch Renormalization"}
BY_INSTANCE = "made to normalize by instance"


def headings(result: RepairResult) -> list[str]:
    """What was done with what, and what it was judged on; nothing where nothing was done."""
    if result.after is None:
        return []
    if result.method == INSTANCE:
        return [BY_INSTANCE, _judged_on(result)]
    if result.data_free:
        return [f"recalibrated without data, by {result.source}", _judged_on(result)]
    verb = VERBS.get(result.method, result.method)
    return [f"{verb} by {count(result.samples, 'sample')} of {result.source}", _judged_on(result)]


def statistics_words(layer: LayerRepair, method: str) -> str:
    """Whether a layer was given new statistics or none any more, or why not."""
    if layer.changed:
        return "none any more" if method == INSTANCE else "new"
    return "kept" if layer.reason is None else f"kept: {reason_words(layer.reason)}"


def training_words(loss: float, r_clipped: float, d_clipped: float, accuracy: float | None) -> str:
    """How a step of a training went, in half a line."""
    said = f"loss {number(loss)}, r clipped in {r_clipped:.0%} of channels, d in {d_clipped:.0%}"
    return said if accuracy is None else f"{said}, validation {accuracy:.1%}"


def _judged_on(result: RepairResult) -> str:
    data = result.before.data
    if data is None:
        return "not judged: there were no data"
    labels = "with labels" if data.labelled else "without labels"
    if result.judged == CROSS_FITTED:
        return f"judged on the same {count(data.samples, 'sample')} {labels}, each half by what the other half gave"
    return f"judged on {count(data.samples, 'sample')} {labels} of {data.source}"


def verdict_lines(result: RepairResult) -> list[str]:
    """The outcome in one sentence, and the numbers behind it."""
    lines = [
        _outcome(result),
        *_accuracy(result),
        *_moved(result),
        *_gaps(result),
        *_of_few(result),
        *_hidden(result),
    ]
    return [spelled(line, result.before.run.spelling) for line in lines]


def outcome_briefly(result: RepairResult, *, calm: bool = False) -> list[str]:
    """The outcome, by what it is judged, the gap, and what makes it doubtful: a line each, for a first screen.

    Args:
        result: of the repair.
        calm: no layer deserves a look: the outcome and what it is judged by are one line, and the gap goes without.
    """
    judged = " ".join(_accuracy(result) or _moved(result))
    said = [f"{_outcome(result)} {judged}"] if calm else [_outcome(result), judged, *_gaps(result)]
    lines = [*said, *_of_few(result), *_hidden(result)]
    return [spelled(line, result.before.run.spelling) for line in lines if line]


def _outcome(result: RepairResult) -> str:
    if result.outcome == NOTHING:
        return "There is nothing to repair."
    comparison = result.comparison
    said = {
        BETTER: "The repaired model is better.",
        NO_DIFFERENCE: "The repair makes no difference that these data can show.",
        WORSE: "The repaired model is worse.",
        TOO_FEW: "Too few samples to repair from: the new statistics may be off by more than a gap that matters.",
        UNDECIDED: f"Whether the repaired model is better cannot be told {_without_accuracy(result)}.",
    }[result.outcome]
    if result.data_free:
        return "Whether the repaired model is better nobody can tell: there were no data to repair from or to judge by."
    if result.outcome == UNDECIDED and comparison is None:
        return "Whether the repaired model is better cannot be told: its outputs cannot be compared."
    if result.outcome == UNDECIDED and comparison is not None and comparison.score is not None:
        return "Whether the repaired model is better so few samples cannot tell: give more."
    if result.outcome == WORSE and not result.differs:
        return "The repaired model is not known to differ: it looks worse, by no more than chance may do (95 %)."
    if result.outcome == BETTER and not result.differs:
        return "The repaired model is likely better (95 %, one-sided)."
    if result.outcome == WORSE and comparison is not None and comparison.gain is None:
        return f"The repaired model is likely worse, {_without_accuracy(result)}: its gap over all layers has grown."
    return said


def _without_accuracy(result: RepairResult) -> str:
    """Why no accuracy judges."""
    if result.before.data is not None and result.before.data.labelled:
        output, metric = argument("output"), argument("metric")
        return f"by labels that fit none of its outputs ({output} names the prediction, {metric} measures it)"
    return "without labels"


def _accuracy(result: RepairResult) -> list[str]:
    comparison = result.comparison
    if comparison is None:
        return []
    if comparison.heads:
        return [_score(head.score, head.head) for head in comparison.heads if head.score is not None]
    if comparison.score is not None and comparison.score.name != ACCURACY:
        return [_score(comparison.score)]
    if comparison.accuracy_before is None or comparison.accuracy_after is None:
        return []
    before, after, error = comparison.accuracy_before, comparison.accuracy_after, comparison.gain_error
    if error is None:
        return [f"Accuracy: {before:.1%} as shipped, {after:.1%} repaired."]
    lines = [f"Accuracy: {before:.1%} as shipped, {after:.1%} repaired ({_points(after - before, error)})."]
    wrong = 1 - before
    if result.outcome == BETTER and wrong > 0:
        share = (after - before) / wrong
        if after == 1:
            return [*lines, "None of the predictions is wrong any more."]
        rest = ": most of what is wrong does not come from the statistics" if share < SMALL_SHARE else ""
        lines.append(f"There are {share:.0%} fewer wrong predictions{rest}.")
    return lines


def _score(score: Score, head: str | None = None) -> str:
    values = (score_value(score.name, value) for value in (score.stored, score.recalibrated))
    shipped, repaired = values
    sure = ""
    if score.interval is not None and score.gain is not None:
        sign, way = (1, "better") if score.gain >= 0 else (-1, "worse")
        low, high = (score_value(score.name, value) for value in sorted(sign * end for end in score.interval))
        sure = f" ({way} by {score_value(score.name, sign * score.gain)}, 95 % between {low} and {high})"
    whose = "" if head is None else f" of {head}"
    return f"{score_title(score.name)}{whose}: {shipped} as shipped, {repaired} repaired{sure}."


def _points(gain: float, error: float) -> str:
    return f"{100 * gain:+.1f} points, standard error {100 * error:.1f}"


def _moved(result: RepairResult) -> list[str]:
    comparison = result.comparison
    if comparison is None:
        return []
    if comparison.output_change is not None and not math.isfinite(comparison.output_change):
        if result.outcome == BETTER:
            return ["The outputs of the model as shipped are not finite; those of the repaired one can be compared."]
        return ["There are outputs that are not finite, so how far they move cannot be told."]
    if comparison.predictions_changed is not None:
        return [f"{comparison.predictions_changed:.1%} of the predictions{_of(comparison)} change."]
    if comparison.output_change is not None:
        return [f"The outputs{_of(comparison)} move by {comparison.output_change:.1%}."]
    return []


def _of(comparison: Comparison) -> str:
    """Which of several outputs with labels of their own is meant."""
    return "" if comparison.head is None else f" of {comparison.head}"


def _gaps(result: RepairResult) -> list[str]:
    if result.after is None or result.after.summary.gap is None:
        return []
    if result.judged == CROSS_FITTED:
        before, after = _crossed(result.layers)
        where = "by what the other half of the data gave"
    else:
        before, after = result.before.summary.gap, result.after.summary.gap
        where = "in the repaired file"
    known = "not a number" if before is None or not math.isfinite(before) else number(before)
    return [f"The gap over all layers is {known} as shipped and {number(after)} {where}."]


def _of_few(result: RepairResult) -> list[str]:
    """That a repair which was measured to help is still one of few samples."""
    if result.outcome != BETTER or result.samples_needed is None:
        return []
    samples = f"{count(result.samples, 'sample')} {'is' if result.samples == 1 else 'are'} few"
    enough = in_tens(result.samples_needed)
    return [f"But {samples}: with {enough} the new statistics would be off by less than a gap that matters."]


def _hidden(result: RepairResult) -> list[str]:
    """What is wrong with the data or the settings, which new statistics do not mend but hide."""
    if result.outcome == NOTHING:
        return []
    return [f"But {sentence}" for sentence in what_a_repair_hides(result.before, result.method)]


def _crossed(layers: Sequence[LayerRepair]) -> tuple[float | None, float | None]:
    """The gap of the layers that have new statistics, before and after, each half judged by the other's (RMS)."""
    pairs = [
        (layer.gap_before, layer.gap_after)
        for layer in layers
        if layer.changed and layer.gap_before is not None and layer.gap_after is not None
    ]
    if not pairs:
        return None, None
    before, after = (math.sqrt(sum(gap**2 for gap in gaps) / len(pairs)) for gaps in zip(*pairs, strict=True))
    return before, after


def in_tens(needed: int) -> int:
    """A quarter more, in tens: what few samples say of the error is itself uncertain."""
    return math.ceil(1.25 * needed / 10) * 10
