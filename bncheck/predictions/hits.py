"""How many predictions are right, under one set of statistics and from one to another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


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


@dataclass(slots=True)
class PairedHits:
    """Predictions that turn from right to wrong or back; shards are merged.

    Attributes:
        won: predictions that were wrong and are right.
        lost: predictions that were right and are wrong; with `won` the discordant pairs of McNemar's test.
        squared_gains: sum of the squared net gains of the samples.
    """

    won: int = 0
    lost: int = 0
    squared_gains: float = 0.0

    def add(self, before: torch.Tensor, after: torch.Tensor) -> None:
        """Take in which predictions were and are right, (N, ...)."""
        self.lost += int((before & ~after).sum())
        self.won += int((after & ~before).sum())
        # The pixels of one sample are no independent predictions: its net gain counts once.
        gains = (after.long() - before.long()).reshape(len(after), -1).sum(1)
        self.squared_gains += float(gains.double().square().sum())

    def merge(self, other: PairedHits) -> None:
        """Take in what another saw of other samples."""
        self.won += other.won
        self.lost += other.lost
        self.squared_gains += other.squared_gains

    def gain_error(self, total: int) -> float:
        """The standard error of the accuracy gained over `total` predictions, the sample being the unit."""
        return math.sqrt(self.squared_gains) / total
