"""How far two sets of outputs lie apart: the one relative change, and how many predictions differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bncheck.tensors import torch


@dataclass(slots=True)
class OutputChange:
    """Sums over pairs of outputs of the same samples; shards are merged.

    Attributes:
        values: numbers that were compared.
        predictions: predictions that were compared.
        changed: how many of them differ.
        difference: sum of the squared differences.
        size: sum of the squares of the first of both.
    """

    values: int = 0
    predictions: int = 0
    changed: int = 0
    difference: float = 0.0
    size: float = 0.0

    def add(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Take in outputs of the same samples, of one shape."""
        self.values += one.numel()
        self.difference += float((other - one).double().square().sum())
        self.size += float(one.double().square().sum())

    def add_predictions(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Take in predictions of the same samples, of one shape."""
        self.predictions += one.numel()
        self.changed += int((one != other).sum())

    def merge(self, other: OutputChange) -> None:
        """Take in what another saw of other samples."""
        self.values += other.values
        self.predictions += other.predictions
        self.changed += other.changed
        self.difference += other.difference
        self.size += other.size

    def changed_fraction(self) -> float | None:
        """The fraction of the predictions that differ; `None` without any."""
        return self.changed / self.predictions if self.predictions else None

    def relative(self) -> float | None:
        """The relative L2 change; NaN where the outputs are not finite, `None` without outputs."""
        if not self.values:
            return None
        if self.size > 0:
            return math.sqrt(self.difference / self.size)
        return 0.0 if not self.difference else math.inf


def relative_change(before: torch.Tensor, after: torch.Tensor) -> float:
    """The relative L2 distance of two outputs of one shape; 0 for outputs without numbers.

    >>> relative_change(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5]))
    0.1
    """
    change = OutputChange()
    change.add(before, after)
    return change.relative() or 0.0


def changed_fraction(before: torch.Tensor, after: torch.Tensor) -> float | None:
    """The fraction of the predictions that differ; `None` without any."""
    change = OutputChange()
    change.add_predictions(before, after)
    return change.changed_fraction()
