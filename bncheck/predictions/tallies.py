"""Counts over pairs of outputs, which merge: how far they lie apart, how many are right, what they tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Hits:
    """How many predictions were right, of those that count."""

    right: int = 0
    total: int = 0

    def __add__(self, other: Hits) -> Hits:
        """The hits of both."""
        return Hits(self.right + other.right, self.total + other.total)

    @property
    def rate(self) -> float | None:
        """The share that were right; `None` without predictions."""
        return self.right / self.total if self.total else None


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """What predictions tell about the inputs: they are sure of each, and differ from input to input.

    Attributes:
        predictions: how many were taken in.
        sum: of their class probabilities, (classes,); `None` without any.
        entropy: of each, added up, in nats.
    """

    predictions: int = 0
    sum: torch.Tensor | None = None
    entropy: float = 0.0

    @classmethod
    def of(cls, rows: torch.Tensor | None) -> Information:
        """What class probabilities, shape (predictions, classes), tell; nothing where there are none."""
        if rows is None or not len(rows):
            return cls()
        rows = rows.double()
        return cls(len(rows), rows.sum(0), float(torch.special.entr(rows).sum()))

    def __add__(self, other: Information) -> Information:
        """What the predictions of both tell."""
        if self.sum is None or other.sum is None:
            return other if self.sum is None else self
        return Information(self.predictions + other.predictions, self.sum + other.sum, self.entropy + other.entropy)

    @property
    def classes(self) -> int | None:
        """How many classes there are; `None` without predictions."""
        return None if self.sum is None else len(self.sum)

    @property
    def nats(self) -> float | None:
        """Mutual information of input and predicted class: entropy of the average less the average entropy."""
        if self.sum is None:
            return None
        average = torch.special.entr(self.sum / self.predictions).sum()
        return float(average) - self.entropy / self.predictions


@dataclass(frozen=True, slots=True)
class OutputChange:
    """How far two sets of outputs of the same samples lie apart.

    Attributes:
        values: numbers compared.
        difference, size: squared differences of them, and the squares of the first set, added up.
        predictions: predictions compared.
        changed: how many of them differ.
    """

    values: int = 0
    difference: float = 0.0
    size: float = 0.0
    predictions: int = 0
    changed: int = 0

    @classmethod
    def of(
        cls,
        one: torch.Tensor | None,
        other: torch.Tensor | None,
        classes: torch.Tensor | None = None,
        other_classes: torch.Tensor | None = None,
    ) -> OutputChange:
        """The change from the outputs `one` to `other`, and from the predicted classes to the others."""
        if one is None or other is None:
            return cls()
        difference = float((other - one).double().square().sum())
        size = float(one.double().square().sum())
        if classes is None or other_classes is None or classes.shape != other_classes.shape:
            return cls(one.numel(), difference, size)
        return cls(one.numel(), difference, size, classes.numel(), int((classes != other_classes).sum()))

    def __add__(self, other: OutputChange) -> OutputChange:
        """The change over both."""
        return OutputChange(
            self.values + other.values,
            self.difference + other.difference,
            self.size + other.size,
            self.predictions + other.predictions,
            self.changed + other.changed,
        )

    @property
    def changed_fraction(self) -> float | None:
        """The share of the predictions that differ; `None` without any."""
        return self.changed / self.predictions if self.predictions else None

    @property
    def relative(self) -> float | None:
        """Relative L2 change; NaN where the outputs are not finite, `None` without any."""
        if not self.values:
            return None
        return math.sqrt(self.difference / self.size) if self.size > 0 else 0.0 if not self.difference else math.inf
