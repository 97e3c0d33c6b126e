"""What predictions tell about the inputs: the one mutual information."""

from __future__ import annotations

from bncheck.tensors import torch


class MutualInformation:
    """Mutual information of input and predicted class: predictions that are sure, and differ from input to input.

    It is the entropy of the average prediction less the average entropy of the predictions, in nats. Shards are
    merged.

    Numerics: float64 sums.
    """

    def __init__(self) -> None:
        self._predictions = 0
        self._sum: torch.Tensor | None = None
        self._entropy = 0.0

    def add(self, rows: torch.Tensor | None) -> None:
        """Take in class probabilities, shape (predictions, classes)."""
        if rows is None or not len(rows):
            return
        rows = rows.double()
        self._predictions += len(rows)
        self._sum = rows.sum(0) + (0.0 if self._sum is None else self._sum)
        self._entropy += float(torch.special.entr(rows).sum())

    def merge(self, other: MutualInformation) -> None:
        """Take in what another saw of other samples."""
        if other._sum is None:
            return
        self._predictions += other._predictions
        self._sum = other._sum + (0.0 if self._sum is None else self._sum)
        self._entropy += other._entropy

    def classes(self) -> int | None:
        """How many classes there are; `None` without predictions."""
        return None if self._sum is None else len(self._sum)

    def nats(self) -> float | None:
        """Mutual information of input and predicted class; `None` without predictions."""
        if self._sum is None:
            return None
        average = torch.special.entr(self._sum / self._predictions).sum()
        return float(average) - self._entropy / self._predictions


def information_of(rows: torch.Tensor | None) -> float | None:
    """What class probabilities (predictions, classes) tell, in nats; `None` without predictions.

    >>> f"{information_of(torch.eye(2)):.4f}"
    '0.6931'
    """
    told = MutualInformation()
    told.add(rows)
    return told.nats()
