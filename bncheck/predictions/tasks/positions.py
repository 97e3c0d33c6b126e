"""One class for each position: outputs (N, K, ...), or (N, ..., K) for words, labels (N, ...) or (N, 1, ...)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bncheck.predictions.class_scores import class_axis, largest, sum_to_one
from bncheck.predictions.labels import are_soft_rows, class_labels, counted, highest_class
from bncheck.predictions.tasks.classes import class_losses, log_probabilities
from bncheck.predictions.tasks.task import EMPTY, per_sample, squeezed

BACKGROUND = 0.8
"""Share of the positions from which a class is background: of classes that are all objects none fills so many."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Segmentation, tagging: the score is the Dice coefficient, averaged over the classes that occur in the sample.

    A class occurs where a label or a prediction says so, and positions whose label is negative or 255 are left out.
    A class that fills most of the positions is background, which is right nearly everywhere whatever becomes of the
    others: it does not count, except that a sample of nothing else has the score 1. Samples with and without other
    classes count alike, so that what is rarely there counts. The loss is the cross entropy in nats, averaged over
    the sample's positions.

    Attributes:
        are_probabilities: whether outputs are probabilities rather than logits; `None` to look at what is given.
        axis: over which the classes run; `None` to look at what is given.
        background: the class that fills most of the positions of what is seen first; `None` where none does.
    """

    are_probabilities: bool | None = None
    axis: int | None = None
    background: int | None = None
    name: ClassVar[str] = "positions"
    score_name: ClassVar[str] = "Dice"
    larger_is_better: ClassVar[bool] = True
    unit: ClassVar[float] = 1.0
    has_scale: ClassVar[bool] = True

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """See `Task`: class numbers of the model's own at every position."""
        if outputs.dim() < 3:
            return False
        if labels is None:
            return class_axis(outputs, None) is not None
        if labels.shape == outputs.shape and outputs.shape[1] > 1:
            return are_soft_rows(labels)
        wanted = class_labels(labels, outputs)
        if wanted.is_floating_point() or not self.matches(outputs, labels):
            return False
        return highest_class(wanted) < outputs.shape[self._axis(outputs, labels)]

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """See `Task`."""
        if outputs.dim() < 3 or labels.dim() < 2:
            return False
        axis = self._axis(outputs, labels)
        if outputs.shape[axis] < 2:
            return False
        return labels.shape == outputs.shape or squeezed(labels, _without(outputs.shape, axis)) is not None

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> Positions:
        """See `Task`."""
        axis = (class_axis(outputs, None) or 1) if labels is None else self._axis(outputs, labels)
        settled = replace(self, are_probabilities=sum_to_one(outputs.movedim(axis, 1)), axis=axis)
        if labels is None:
            return settled
        _, wanted, known = settled._aligned(outputs, labels)
        return replace(settled, background=_filling(wanted[known]))

    def groups(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: samples with other classes than the background, and without."""
        if self.background is None:
            return None
        _, wanted, known = self._aligned(outputs, labels)
        holds = (known & (wanted != self.background)).flatten(1).any(1)
        return torch.where(holds, 0, EMPTY)

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: mean Dice over the classes that occur, the background left out where there are others."""
        maps, wanted, known = self._aligned(outputs, labels)
        classes = maps.shape[1] + 1  # scores that are not numbers, and classes that the model has not
        own, other = (
            torch.where((one >= 0) & (one < classes - 1), one, classes - 1).long() for one in (largest(maps, 1), wanted)
        )
        counts = [_counts(one, known, classes) for one in (own, other)]
        both = _counts(own, known & (own == other) & (own < classes - 1), classes)
        either = counts[0] + counts[1]
        dice = torch.where(either > 0, 2 * both / either.clamp(min=1), torch.zeros((), dtype=torch.float64))
        occurs = either > 0
        if self.background is not None:
            others = occurs.clone()
            others[:, self.background] = False
            occurs = torch.where(others.any(1, keepdim=True), others, occurs)
        return (dice * occurs).sum(1) / occurs.sum(1)  # 0 / 0 where nothing counts

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: mean cross entropy."""
        maps, wanted, known = self._aligned(outputs, labels)
        return per_sample(class_losses(log_probabilities(maps, self.are_probabilities), wanted, known), known)

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """See `Task`."""
        return largest(outputs, 1 if self.axis is None else self.axis)

    def _aligned(self, outputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Outputs (N, K, ...), class numbers (N, ...), and which of them count."""
        axis = self._axis(outputs, labels)
        maps = outputs.movedim(axis, 1)
        if labels.shape == outputs.shape:
            wanted = labels.argmax(axis)
        else:
            found = squeezed(class_labels(labels, outputs), _without(outputs.shape, axis))
            if found is None:
                raise ValueError(f"labels {tuple(labels.shape)} for outputs {tuple(outputs.shape)}")
            wanted = found
        return maps, wanted, counted(wanted)

    def _axis(self, outputs: torch.Tensor, labels: torch.Tensor) -> int:
        return (class_axis(outputs, labels) or 1) if self.axis is None else self.axis


def _filling(labels: torch.Tensor) -> int | None:
    """The class that most of the labels are of; `None` where none fills so many."""
    if not labels.numel():
        return None
    counts = torch.bincount(labels.long())
    return int(counts.argmax()) if int(counts.max()) >= BACKGROUND * labels.numel() else None


def _counts(classes: torch.Tensor, known: torch.Tensor, number: int) -> torch.Tensor:
    """How often each class stands in each sample, (N, number) float64, of what counts."""
    samples = len(classes)
    offsets = torch.arange(samples).reshape(-1, *[1] * (classes.dim() - 1)) * number
    return torch.bincount((classes + offsets)[known], minlength=samples * number).reshape(samples, number).double()


def _without(shape: torch.Size, axis: int) -> torch.Size:
    return torch.Size((*shape[:axis], *shape[axis + 1 :]))


TASK = Positions()
