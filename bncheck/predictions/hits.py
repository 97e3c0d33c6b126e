"""How many predictions are right, under one set of statistics."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.tensors import torch


@dataclass(slots=True)
class Hits:
    """How many predictions were right; shards are merged.

    Attributes:
        right: of those that count.
        total: that count.
    """

    right: int = 0
    total: int = 0

    def add(self, right: torch.Tensor, counted: torch.Tensor) -> None:
        """Take in which predictions are right, and which count."""
        self.right += int(right.sum())
        self.total += int(counted.sum())

    def merge(self, other: Hits) -> None:
        """Take in what another saw of other samples."""
        self.right += other.right
        self.total += other.total

    def rate(self) -> float | None:
        """The share that is right; `None` where nothing counts."""
        return self.right / self.total if self.total else None
