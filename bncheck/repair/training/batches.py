"""The batches of a training run: the source's own, epoch after epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bncheck.data import Batch, Source
from bncheck.errors import DataError


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the data a run stands: the epoch, and how many batches of it were taken."""

    epoch: int = 0
    taken: int = 0


class TrainingBatches:
    """Endless batches in the source's own order; epoch k of a loader that draws at random is seeded by seed + k.

    Batches of a single sample are left out where others are larger (the rest of an epoch): they have no
    statistics. With `only_size` so is every batch of another size.
    """

    def __init__(
        self, source: Source, batch_size: int, seed: int, *, only_size: int | None = None, start: Position | None = None
    ) -> None:
        self._source = source
        self.batch_size = batch_size if only_size is None else only_size
        self.only_size = only_size
        self._seed = seed
        self.position = start or Position()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            epoch, skipped = self.position.epoch, self.position.taken
            number = 0
            for batch in self.epoch(epoch):
                number += 1
                if number > skipped:
                    self.position = Position(epoch, number)
                    yield batch
            if number == 0:
                raise DataError(self._nothing())
            self.position = Position(epoch + 1, 0)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch that are trained on."""
        largest = 0
        for batch in self._source.given_batches(self.batch_size, seed=self._seed + number):
            largest = max(largest, batch.size)
            if self.only_size not in (None, batch.size) or (batch.size == 1 and largest > 1):
                continue
            yield batch

    def first(self) -> Batch:
        """The first batch of the first epoch.

        Raises:
            DataError: there is none.
        """
        batch = next(self.epoch(0), None)
        if batch is None:
            raise DataError(self._nothing())
        return batch

    def _nothing(self) -> str:
        wanted = "" if self.only_size is None else f" of {self.only_size} samples, the only size the program accepts"
        return f"{self._source.name} has no batch{wanted} to train on."
