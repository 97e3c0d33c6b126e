"""Reading the data in pairs of half batches, one for each cross-fitting fold: the same pairs in every pass."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count

import torch

from bncheck.data import Batch, Heap, ScreenedSource, Source
from bncheck.progress import Progress, begin
from bncheck.settings import SampleMemory

LARGE_BATCH = 256
"""Samples normalized together in the batch pass: large, so that its statistics are not noise."""
SMALL_BATCH = 16
"""Below this many samples batch statistics say more about the batch than about the layer."""
_VALUE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of the pairs: number `index` of every `count` that are read, from 0.

    Attributes:
        apart: nobody else is at hand while it is read: it goes by its own samples alone, and what it collects is put
            together with the others' afterwards.
    """

    index: int = 0
    count: int = 1
    apart: bool = False

    def takes(self, number: int) -> bool:
        """Whether the pair of that number belongs to the share."""
        return number % self.count == self.index


WHOLE = Shard()
_NOBODY = Batch((), None, 0)
"""No samples: beside the last of batches that cannot be cut, where their number is odd."""


@dataclass(frozen=True, slots=True)
class Halves:
    """How large half batches may be; they have as many samples as any forward all the same.

    Attributes:
        most: samples in one.
        room: bytes of both.
    """

    most: int = LARGE_BATCH
    room: int = SampleMemory().halves


HALVES = Halves()


@dataclass(frozen=True, slots=True, eq=False)
class FoldPair:
    """Two half batches, one for each fold.

    Attributes:
        start: number of the first sample in the reading, over all shards.
        folds: the half batches, one for each fold.
        is_large: whether each can be normalized by its own statistics; a last few samples by themselves cannot.
    """

    start: int
    folds: tuple[Batch, Batch]
    is_large: bool

    @property
    def size(self) -> int:
        """Samples in both."""
        return self.folds[0].size + self.folds[1].size


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Samples for one forward.

    Attributes:
        start: number of the first sample in the reading, over all shards.
        batch: the samples.
    """

    start: int
    batch: Batch


class Folds:
    """Reads the data as pairs of half batches.

    Args:
        source: the data.
        fixed: the only batch size the model takes, `None` where any goes.
        batch_size: samples in a forward that does not have to be large.
        halves: how large they may be.
        limit: samples to draw, `None` for all.
        seed: of the draw.
        progress: told how far a pass is.
        shard: which of the pairs are read here.

    Attributes:
        half: samples in a half batch at the most.
        dropped: samples that a fixed batch size could not take, of those that the shard read in the last pass.
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
        halves: Halves = HALVES,
        shard: Shard = WHOLE,
    ) -> None:
        self.dropped = 0
        self._source = source
        self._fixed = fixed
        self._batch_size = batch_size
        self._limit = limit
        self._seed = seed
        self._progress = progress
        self._shard = shard
        self._halves = halves
        self._expected = expected_samples(source, limit)
        self.half = fixed or self._large_batch(halves.most)

    def read(self, task: str) -> Iterator[FoldPair]:
        """The shard's pairs, under the name of what is being done."""
        begin(self._progress, task)
        self.dropped = seen = done = 0
        start, expected = 0, self._expected
        if self._strides and expected is not None:
            expected = -(-expected // self._shard.count)
        heap = Heap(2 * self._halves.room)
        batches = self._numbered_batches()
        for number, batch in batches:
            if not batch.is_in_step:
                rest = (one for _, one in batches)
                yield from self._uncut(chain([batch], rest), number, start, task)
                return
            if self._strides:
                start = number * 2 * self.half
            whole = batch.size if self._fixed is None else batch.size // self._fixed * self._fixed
            middle = min(self.half, whole) if self._fixed else (whole + 1) // 2
            is_large = min(middle, whole - middle) >= min(SMALL_BATCH, seen)
            if self._shard.takes(number):
                self.dropped += batch.size - whole
                if whole:
                    turned = whole == 1 and seen < SMALL_BATCH and number % 2 == 1
                    yield FoldPair(start, _halves(_numbered(batch, start), middle, whole, turned=turned), is_large)
            size = sum(tensor.nbytes for tensor in batch.tensors)
            del batch  # or it was held while the next one is read
            heap.passed(size)
            start += whole
            done += whole
            seen += middle if is_large else 0
            if whole:
                self._progress(task, done, expected)

    @property
    def _strides(self) -> bool:
        """Whether what lies between the shard's pairs is not read at all."""
        return self._shard.apart and isinstance(self._source, ScreenedSource) and self._source.can_split

    def _numbered_batches(self) -> Iterator[tuple[int, Batch]]:
        """What both halves of each pair are made of, with the pair's number."""
        size, seed, limit = 2 * self.half, self._seed, self._limit
        if self._strides and isinstance(self._source, ScreenedSource):
            first, every = self._shard.index, self._shard.count
            own = self._source.strided(size, seed=seed, limit=limit, first=first, every=every)
            return ((first + at * every, batch) for at, batch in enumerate(own))
        return enumerate(self._source.batches(size, seed=seed, limit=limit))

    def _uncut(self, batches: Iterator[Batch], number: int, start: int, task: str) -> Iterator[FoldPair]:
        """Pairs of whole batches, whose samples cannot be told apart; the last may have nobody beside it."""
        for place in count(number):
            first = next(batches, None)
            if first is None:
                return
            halves = _numbered(first, start), next(batches, None)
            pair = FoldPair(start, (halves[0], halves[1] or _NOBODY), halves[1] is not None)
            if self._shard.takes(place):
                yield pair
            start += pair.size
            self._progress(task, start, self._expected)

    def with_large_batch(self, size: int) -> Folds:
        """The same data in smaller pairs."""
        smaller = copy.copy(self)
        smaller.half = self._fixed or self._large_batch(size)
        return smaller

    def pairs(self, task: str) -> Iterator[tuple[Batch, Batch]]:
        """The half batches of all pairs."""
        return (pair.folds for pair in self.read(task))

    def large_enough(self, task: str) -> Iterator[tuple[Batch, Batch]]:
        """The half batches that can be normalized by their own statistics."""
        return (pair.folds for pair in self.read(task) if pair.is_large)

    def chunks(self, batch: Batch) -> Iterator[Batch]:
        """A half batch in forwards of the size that was asked for."""
        return batch.split(self._fixed or self._batch_size)

    def chunks_of(self, pair: FoldPair, fold: int) -> Iterator[Chunk]:
        """The half batch of that fold likewise, each part with its number."""
        start = pair.start + sum(half.size for half in pair.folds[:fold])
        for batch in self.chunks(pair.folds[fold]):
            yield Chunk(start, batch)
            start += batch.size

    def _large_batch(self, most: int) -> int:
        """As many samples as batch statistics want and memory takes; equal halves where the number is known."""
        first = next(self._source.given_batches(1, limit=1), None)
        values = max(_values(first), 1) if first is not None else 1
        largest = max(self._batch_size, min(most, self._halves.room // (2 * _VALUE_BYTES * values)), 2)
        expected = self._expected
        if expected is None:
            return largest
        pairs = -(-expected // (2 * largest))
        if self._shard.apart:  # as many for every shard, and for none of them nothing where there are enough
            pairs = -(-pairs // self._shard.count) * self._shard.count
        return max(1, -(-expected // (2 * max(pairs, 1))))


def _halves(batch: Batch, middle: int, whole: int, *, turned: bool) -> tuple[Batch, Batch]:
    """Up to the middle, and from there; samples that come one by one go to either fold in turn."""
    first, second = batch.between(0, middle), batch.between(middle, whole)
    return (second, first) if turned else (first, second)


def _numbered(batch: Batch, start: int) -> Batch:
    """The batch with positions, from those of the reading where its source has not counted."""
    if batch.positions is not None:
        return batch
    return replace(batch, positions=torch.arange(start, start + batch.size))


def expected_samples(source: Source, limit: int | None) -> int | None:
    """How many a reading gives, as far as that is known: the limit at the most."""
    if source.samples is None:
        return limit
    return source.samples if limit is None else min(limit, source.samples)


def _values(batch: Batch) -> int:
    """Input values of one sample."""
    return sum(tensor[0].numel() for tensor in batch.tensors if tensor.dim() and len(tensor))
