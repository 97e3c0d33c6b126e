"""Reading predictions out of what a model returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from bncheck.errors import DataError, UsageError
from bncheck.predictions.labels import are_whole

UNTOLD = -1
"""The class of scores that are not numbers: never the right one."""
IGNORED_LABEL = 255
"""The usual label of pixels that are left out (void)."""


def choose_output(output: Any, selector: str | None) -> torch.Tensor | None:
    """The tensor of `output` that is the prediction.

    Args:
        output: whatever the model returned.
        selector: a key or an index (`--output`); without it a tensor is itself, of a tuple or a dict the
            first floating tensor is taken.

    Returns:
        A floating tensor, or `None` where there is none to be found without a selector.

    Raises:
        UsageError: `selector` names nothing in the output.
    """
    if selector is not None:
        chosen = _select(output, selector)
        if not isinstance(chosen, torch.Tensor):
            raise UsageError(f"--output {selector}: that output is a {type(chosen).__name__}, not a tensor.")
        return chosen
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() else None
    if isinstance(output, Mapping):
        return _first(list(output.values()))
    if isinstance(output, Sequence) and not isinstance(output, str):
        return _first(list(output))
    return None


def _select(output: Any, selector: str) -> Any:
    if isinstance(output, Mapping):
        if selector in output:
            return output[selector]
        if selector.lstrip("-").isdigit() and -len(output) <= int(selector) < len(output):
            return list(output.values())[int(selector)]
        raise UsageError(f"--output {selector}: the model returns the keys {', '.join(map(str, output))}.")
    if isinstance(output, Sequence):
        if selector.lstrip("-").isdigit() and -len(output) <= int(selector) < len(output):
            return output[int(selector)]
        raise UsageError(f"--output {selector}: the model returns {len(output)} outputs, numbered from 0.")
    if selector == "0":
        return output
    raise UsageError(f"--output {selector}: the model returns one {type(output).__name__}, nothing to choose from.")


def _first(values: list[Any]) -> torch.Tensor | None:
    return next((v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point()), None)


class Predictor:
    """Turns scores into predicted classes, the same way for every batch and every set of statistics.

    Two or more scores on the class axis: the largest. One score with labels 0 and 1: its sign, or half
    where the scores seen first are probabilities. Anything else is no classification.
    """

    def __init__(self) -> None:
        self._threshold: float | None = None

    def merge(self, other: Predictor) -> Predictor:
        """The predictor that goes on as the first of both that has decided anything."""
        merged = Predictor()
        merged._threshold = other._threshold if self._threshold is None else self._threshold
        return merged

    def classes(self, scores: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Predicted classes, (N, ...), or `None` where the scores are no class scores.

        Raises:
            DataError: the labels are classes the model does not have.
        """
        if labels is not None and labels.is_floating_point() and labels.shape == scores.shape:
            return None  # a regression: nothing to count
        axis = class_axis(scores, labels)
        if axis is not None:
            predicted = scores.argmax(axis).masked_fill(scores.isnan().any(axis), UNTOLD)
            if labels is not None and labels.shape == predicted.shape:
                _check_range(labels, scores.shape[axis])
            return predicted
        if labels is None or not _is_binary(scores, labels):
            return None
        if self._threshold is None:
            probabilities = bool(((scores >= 0) & (scores <= 1)).all())
            self._threshold = 0.5 if probabilities else 0.0
        scores = scores.reshape(labels.shape)
        return (scores > self._threshold).long().masked_fill(scores.isnan(), UNTOLD)


def probabilities(scores: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor | None:
    """Class probabilities, shape (predictions, classes); `None` where the scores are no class scores."""
    axis = class_axis(scores, labels)
    if axis is None or (labels is not None and labels.is_floating_point() and labels.shape == scores.shape):
        return None
    rows = scores.movedim(axis, -1).flatten(0, -2)
    sums = rows.sum(1)
    are_probabilities = bool((rows >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
    return rows if are_probabilities else rows.softmax(1)


def class_labels(labels: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """`labels` as class numbers where they are that: from whole floats, or from one-hot (soft) rows."""
    if not labels.is_floating_point():
        return labels
    if labels.shape == scores.shape and labels.dim() > 1 and labels.shape[1] > 1:
        sums_to_one = bool((labels >= 0).all()) and torch.allclose(labels.sum(1), torch.ones_like(labels.sum(1)))
        return labels.argmax(1) if sums_to_one else labels
    return labels.long() if are_whole(labels) and labels.shape != scores.shape else labels


def correct(predicted: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Which predictions are right, and which count at all; `None` where the shapes do not match.

    Both have the shape of `labels`; predictions whose label is to be ignored are neither.
    """
    if labels.is_floating_point() or predicted.shape != labels.shape:
        return None
    counted = labels >= 0
    if labels.dim() > 1:
        counted &= labels != IGNORED_LABEL
    return (predicted == labels) & counted, counted


def class_axis(scores: torch.Tensor, labels: torch.Tensor | None) -> int | None:
    """The axis of `scores` that runs over the classes; `None` where there is none, or only one class on it."""
    if scores.dim() < 2:
        return None
    if labels is not None and scores.dim() > 2 and labels.shape == scores.shape[:-1] != _without_axis_1(scores):
        return scores.dim() - 1 if scores.shape[-1] > 1 else None
    return 1 if scores.shape[1] > 1 else None


def _without_axis_1(scores: torch.Tensor) -> torch.Size:
    return torch.Size((scores.shape[0], *scores.shape[2:]))


def _is_binary(scores: torch.Tensor, labels: torch.Tensor) -> bool:
    return scores.numel() == labels.numel() and are_whole(labels) and bool(((labels == 0) | (labels == 1)).all())


def _check_range(labels: torch.Tensor, classes: int) -> None:
    if labels.is_floating_point() or labels.numel() == 0:
        return
    kept = labels[labels != IGNORED_LABEL] if labels.dim() > 1 else labels
    highest = int(kept.max()) if kept.numel() else 0
    lowest = int(kept.min()) if kept.numel() else 0
    if lowest < 0 and labels.dim() == 1:
        raise DataError(
            f"the labels go down to {lowest}: labels are class numbers from 0; give such labels, or leave them out."
        )
    if highest >= classes:
        raise DataError(
            f"the labels run up to {highest} but the model gives {classes} scores: labels are class "
            f"numbers from 0; give labels below {classes}, choose another --output, or leave the labels out."
        )
