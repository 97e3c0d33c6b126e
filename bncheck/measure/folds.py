"""Reading the data in pairs of half batches, one for each cross-fitting fold: the same pairs in every pass."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count

from bncheck.data import Batch, Heap, ScreenedSource, Share, Source
from bncheck.measure.processes.portions import SMALL_BATCH, WHOLE, Shard, expected_samples, portions_of
from bncheck.progress import Progress, begin
from bncheck.settings import SampleMemory
from bncheck.tensors import torch

LARGE_BATCH = 256
"""Samples normalized together in the batch pass: large, so that its statistics are not noise."""
_VALUE_BYTES = 4
_NOBODY = Batch((), None, 0)
"""No samples: beside the last of batches that cannot be cut, where their number is odd, or where others have some."""


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
        second: number of the first sample of the second half, where others have samples between the two.
    """

    start: int
    folds: tuple[Batch, Batch]
    is_large: bool
    second: int | None = None

    @property
    def size(self) -> int:
        """Samples in both."""
        return self.folds[0].size + self.folds[1].size

    @property
    def stop(self) -> int:
        """Number of the first sample after both."""
        return self.starts[1] + self.folds[1].size

    @property
    def starts(self) -> tuple[int, int]:
        """Number of the first sample of each half."""
        return self.start, self.start + self.folds[0].size if self.second is None else self.second


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
        """The shard's pairs, under the name of what is being done; where samples have numbers no others are read."""
        begin(self._progress, task)
        self.dropped = 0
        if isinstance(self._source, ScreenedSource) and self._source.can_split and self._expected is not None:
            return self._by_number(self._source, self._expected, task)
        return self._as_they_come(task)

    @property
    def left_out(self) -> tuple[int, ...]:
        """Numbers of the samples that the last pass left out, where it read no share but its own."""
        source = self._source
        return tuple(source.left_out_of_share) if isinstance(source, ScreenedSource) and source.is_shared else ()

    @property
    def order(self) -> int | None:
        """What tells the order that the last pass shared out from another; `None` where none was."""
        return self._source.order if isinstance(self._source, ScreenedSource) else None

    def _by_number(self, source: ScreenedSource, total: int, task: str) -> Iterator[FoldPair]:
        portions = list(portions_of(total, self.half, self._shard, self._fixed))
        spans = [span for one in portions for span in one.spans]
        alone = self._shard.count == 1
        read = source.spans(spans, seed=self._seed, limit=self._limit, whole=alone)
        heap, done = Heap(2 * self._halves.room), 0
        for portion in portions:
            start = portion.spans[0][0]
            if len(portion.spans) > 1:
                pair = FoldPair(
                    start, (self._whole(next(read)), self._whole(next(read))), portion.is_large, portion.spans[1][0]
                )
            else:
                pair = self._pair(next(read) or _NOBODY, start, portion.number, portion.least)
            done += pair.size
            size = sum(tensor.nbytes for half in pair.folds for tensor in half.tensors)
            if pair.size or self._shard.joint:
                yield pair
            del pair
            heap.passed(size)
            self._progress(task, done, total if alone else -(-total // self._shard.count))

    def _as_they_come(self, task: str) -> Iterator[FoldPair]:
        batches, is_share = self._streamed()
        expected = self._expected
        if is_share and expected is not None:
            expected = -(-expected // self._shard.count)
        seen = done = start = 0
        heap = Heap(2 * self._halves.room)
        numbered = enumerate(batches)
        for place, batch in numbered:
            number = place * self._shard.count + self._shard.index if is_share else place
            if not batch.is_in_step:
                rest = (one for _, one in numbered)
                yield from self._uncut(chain([batch], rest), place, start, task, every=is_share)
                return
            if is_share:  # as far as sizes are known, between those of others
                start = number * 2 * self.half
            pair = self._pair(batch, start, number, min(SMALL_BATCH, seen))
            size = sum(tensor.nbytes for tensor in batch.tensors)
            del batch  # or it was held while the next one is read
            start += pair.size
            done += pair.size
            seen += pair.folds[0].size if pair.is_large else 0
            told = pair.size
            if told and (is_share or self._shard.takes(number)):
                yield pair
            del pair
            heap.passed(size)
            if told:
                self._progress(task, done, expected)

    def _streamed(self) -> tuple[Iterator[Batch], bool]:
        """What both halves of each pair are made of, and whether these are of the shard alone."""
        size, seed, limit = 2 * self.half, self._seed, self._limit
        shard, source = self._shard, self._source
        if shard.count > 1 and isinstance(source, ScreenedSource) and source.own_batches:
            return source.shared(size, seed=seed, limit=limit, share=Share(shard.index, shard.count))
        return source.batches(size, seed=seed, limit=limit), False

    def _pair(self, batch: Batch, start: int, number: int, least: int) -> FoldPair:
        """The batch as two halves; what a fixed batch size cannot take is dropped."""
        whole = self._taken(batch)
        middle = min(self.half, whole) if self._fixed else (whole + 1) // 2
        large = min(middle, whole - middle) >= least
        turned = whole == 1 and least < SMALL_BATCH and number % 2 == 1
        return FoldPair(start, _halves(_numbered(batch, start), middle, whole, turned=turned), large)

    def _whole(self, batch: Batch | None) -> Batch:
        """The samples of a half batch that can be run."""
        return _NOBODY if batch is None else batch.between(0, self._taken(batch))

    def _taken(self, batch: Batch) -> int:
        whole = batch.size if self._fixed is None else batch.size // self._fixed * self._fixed
        self.dropped += batch.size - whole
        return whole

    def _uncut(
        self, batches: Iterator[Batch], number: int, start: int, task: str, *, every: bool
    ) -> Iterator[FoldPair]:
        """Pairs of whole batches, whose samples cannot be told apart; the last may have nobody beside it."""
        for place in count(number):
            first = next(batches, None)
            if first is None:
                return
            halves = _numbered(first, start), next(batches, None)
            pair = FoldPair(start, (halves[0], halves[1] or _NOBODY), halves[1] is not None)
            if every or self._shard.takes(place):
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
        start = pair.starts[fold]
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
        count = self._shard.count
        if self._shard.joint:  # of all processes together
            expected = -(-expected // count)
        pairs = -(-expected // (2 * largest))
        if self._shard.apart:  # as many for every shard, and for none of them nothing where there are enough
            pairs = -(-pairs // count) * count
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


def _values(batch: Batch) -> int:
    """Input values of one sample."""
    return sum(tensor[0].numel() for tensor in batch.tensors if tensor.dim() and len(tensor))
