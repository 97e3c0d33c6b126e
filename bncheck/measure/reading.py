"""Reading the data in pairs of half batches, one for each fold, the same pairs in every pass."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.data.batches import Batch, Source
from bncheck.formats.programs.running import Progress

LARGE_BATCH = 256
"""Samples normalized together in the batch pass: large, so that its statistics are not noise."""
SMALL_BATCH = 16
"""Below this many samples batch statistics say more about the batch than about the layer."""
BATCH_VALUES = 2**24
"""Input values in one batch of the batch pass (64 MiB in float32), a bound on memory."""


class Halves:
    """The data as pairs of half batches.

    Args:
        source: the data.
        fixed: the only batch size the model takes, `None` where any goes.
        batch_size: samples in a forward that does not have to be large.
        large_batch: samples in a half batch at the most, where memory allows.
        limit: samples to draw, `None` for all.
        seed: of the draw.
        progress: told how far a pass is.
    """

    def __init__(
        self,
        source: Source,
        *,
        fixed: int | None,
        batch_size: int,
        limit: int | None,
        seed: int,
        progress: Progress,
        large_batch: int = LARGE_BATCH,
    ) -> None:
        self.dropped = 0
        self._source = source
        self._fixed = fixed
        self._batch_size = batch_size
        self._limit = limit
        self._seed = seed
        self._progress = progress
        self._expected = _expected(source, limit)
        self._half = fixed or self._large_batch(large_batch)

    def pairs(self, task: str) -> Iterator[tuple[Batch, Batch]]:
        """All of them, under the name of what is being done."""
        done = 0
        for batch in self._batches():
            middle = min(self._half, batch.size) if self._fixed else (batch.size + 1) // 2
            yield batch.between(0, middle), batch.between(middle, batch.size)
            done += batch.size
            self._progress(task, done, self._expected)

    def large_enough(self, task: str) -> Iterator[tuple[Batch, Batch]]:
        """Those that can be normalized by their own statistics: without a last few samples by themselves."""
        seen = 0
        for halves in self.pairs(task):
            if min(half.size for half in halves) >= min(SMALL_BATCH, seen):
                yield halves
                seen += halves[0].size

    def chunks(self, batch: Batch) -> Iterator[Batch]:
        """A half batch in forwards of the size that was asked for."""
        return batch.split(self._fixed or self._batch_size)

    def _batches(self) -> Iterator[Batch]:
        fixed = self._fixed
        self.dropped = 0
        for batch in self._source.batches(2 * self._half, seed=self._seed, limit=self._limit):
            whole = batch.size if fixed is None else batch.size // fixed * fixed
            self.dropped += batch.size - whole
            if whole:
                yield batch.between(0, whole)

    def _large_batch(self, most: int) -> int:
        """As many samples as batch statistics want and memory takes; equal halves where the number is known."""
        first = next(self._source.given_batches(1, limit=1), None)
        values = max(_values(first), 1) if first is not None else 1
        largest = max(self._batch_size, min(most, BATCH_VALUES // values), 2)
        expected = self._expected
        if expected is None:
            return largest
        pairs = -(-expected // (2 * largest))
        return max(1, -(-expected // (2 * max(pairs, 1))))


def _expected(source: Source, limit: int | None) -> int | None:
    if source.samples is None:
        return limit
    return source.samples if limit is None else min(limit, source.samples)


def _values(batch: Batch) -> int:
    """Input values of one sample."""
    return sum(tensor[0].numel() for tensor in batch.tensors if tensor.dim() and len(tensor))
