"""Scores as classes: which axis runs over them, how probable each is, and which one is predicted."""

from __future__ import annotations

from bncheck.predictions.labels import are_whole, require_classes, require_no_void
from bncheck.tensors import torch

UNTOLD = -1
"""The class of scores that are not numbers: never the right one."""
LEAST_PROBABILITY = 1e-7
"""The smallest probability whose logarithm is taken, so that a loss stays a number."""
_SUMS_TO_ONE = 1e-3


class Predictor:
    """Turns scores into predicted classes, the same way for every batch and every set of statistics.

    Two or more scores on the class axis: the largest. One score with labels 0 and 1: its sign, or half
    where the scores seen first are probabilities. Anything else is no classification.

    Args:
        threshold: above what a score of one class says yes; by default what is seen first decides.
    """

    def __init__(self, threshold: float | None = None) -> None:
        self._threshold = threshold

    @property
    def threshold(self) -> float | None:
        """Above what a score of one class says yes; `None` where that is not settled yet."""
        return self._threshold

    def classes(self, scores: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Predicted classes, (N, ...), or `None` where the scores are no class scores.

        Raises:
            DataError: the labels are classes the model does not have.
        """
        if labels is not None and labels.is_floating_point() and labels.shape == scores.shape:
            return None  # a regression: nothing to count
        axis = class_axis(scores, labels)
        if axis is not None:
            predicted = largest(scores, axis)
            if labels is not None and labels.shape == predicted.shape and not labels.is_floating_point():
                require_no_void(labels)
                require_classes(labels, scores.shape[axis])
            return predicted
        if labels is None or not _is_binary(scores, labels):
            return None
        threshold = self.settle(scores)
        scores = scores.reshape(labels.shape)
        return (scores > threshold).long().masked_fill(scores.isnan(), UNTOLD)

    def settle(self, *scores: torch.Tensor) -> float:
        """Above what a score of one class says yes: one half of probabilities, if all that is seen first lies in 0..1.

        Logits of a model that is fed wrongly may do so by chance, and those with other statistics tell.
        """
        if self._threshold is None:
            self._threshold = 0.5 if all(lie_in_unit_interval(one) for one in scores) else 0.0
        return self._threshold

    def merge(self, other: Predictor) -> None:
        """Take over what another has decided by the first scores it saw, where this one has seen none."""
        if self._threshold is None:
            self._threshold = other._threshold


def largest(scores: torch.Tensor, axis: int) -> torch.Tensor:
    """The class of the largest score, `UNTOLD` where one is NaN; the class axis is gone."""
    return scores.argmax(axis).masked_fill(scores.isnan().any(axis), UNTOLD)


def class_axis(scores: torch.Tensor, labels: torch.Tensor | None) -> int | None:
    """The axis of `scores` that runs over the classes; `None` where there is none, or only one class on it.

    Outputs with positions (N, K, ...) may as well be images or features: without labels for the positions they are
    class scores only where they are distributions, over axis 1 or the last.
    """
    if scores.dim() < 2:
        return None
    has_positions = scores.dim() > 2 and scores[:1, :1].numel() > 1
    if has_positions and (labels is None or not _are_of_positions(labels, scores)):
        return next((axis for axis in (1, scores.dim() - 1) if _are_distributions(scores, axis)), None)
    if labels is not None and scores.dim() > 2 and labels.shape == scores.shape[:-1] != _without_axis_1(scores):
        return scores.dim() - 1 if scores.shape[-1] > 1 else None
    return 1 if scores.shape[1] > 1 else None


def probabilities(scores: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor | None:
    """Class probabilities, shape (predictions, classes); `None` where the scores are no class scores."""
    axis = class_axis(scores, labels)
    if axis is None or (labels is not None and labels.is_floating_point() and labels.shape == scores.shape):
        return None
    rows = scores.movedim(axis, -1).flatten(0, -2)
    return rows if sum_to_one(rows) else rows.softmax(1)


def sum_to_one(rows: torch.Tensor) -> bool:
    """Whether scores, their classes on axis 1, are probabilities already."""
    sums = rows.sum(1)
    return bool((rows >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=_SUMS_TO_ONE)


def lie_in_unit_interval(scores: torch.Tensor) -> bool:
    """Whether scores of one class each are probabilities already."""
    return bool(((scores >= 0) & (scores <= 1)).all())


def _are_of_positions(labels: torch.Tensor, scores: torch.Tensor) -> bool:
    """Whether there is one for each position, whichever axis the classes run over; one-hot maps have the scores'."""
    shapes = (_without_axis_1(scores), scores.shape[:-1], scores.shape)
    return _significant(labels.shape) in [_significant(shape) for shape in shapes]


def _significant(shape: torch.Size) -> list[int]:
    """The samples, and every other axis that is longer than 1."""
    return [*shape[:1], *(size for size in shape[1:] if size > 1)]


def _are_distributions(scores: torch.Tensor, axis: int) -> bool:
    """Whether scores are probabilities of the classes on that axis, or their logarithms."""
    if scores.shape[axis] < 2:
        return False
    rows = scores.movedim(axis, 1)
    return sum_to_one(rows) or (bool((rows <= 0).all()) and sum_to_one(rows.exp()))


def _without_axis_1(scores: torch.Tensor) -> torch.Size:
    return torch.Size((scores.shape[0], *scores.shape[2:]))


def _is_binary(scores: torch.Tensor, labels: torch.Tensor) -> bool:
    return scores.numel() == labels.numel() and are_whole(labels) and bool(((labels == 0) | (labels == 1)).all())
