"""Random draws from a stream of batches, in bounded memory.

Sorted data must not look like drift, so a stream is taken apart into samples, which are drawn at random and put
together to batches of the size asked for. Samples of different shapes cannot be put together: from the first
batch that does not fit those before it, batches are passed on as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from bncheck.data.batches import Batch
from bncheck.data.places import Places

BUFFER_SAMPLES = 4096

# A draw of few samples reads at most this many, and fewer of a stream that has not said how many it has: it need not
# end, and each sample may take its time.
READ_AT_MOST = 16 * BUFFER_SAMPLES
READ_FOR_EACH = 64


def read_at_most(limit: int, *, ends: bool) -> int:
    """How many samples a draw of `limit` reads at most, of a stream that is known to end or may not."""
    return max(16 * limit, READ_AT_MOST if ends else min(READ_AT_MOST, READ_FOR_EACH * limit))


def mixed(
    batches: Iterator[Batch],
    batch_size: int,
    rng: np.random.Generator,
    limit: int | None = None,
    *,
    room: int,
    ends: bool = True,
    goes_on: Callable[[int], None] = lambda read: None,
) -> Iterator[Batch]:
    """Batches of `batch_size` samples drawn at random from those in `batches`.

    Without `limit` all samples come, through a shuffle buffer of at most `BUFFER_SAMPLES` and `room` bytes.
    With it, every sample among the first `read_at_most` has the same chance; where `limit` samples take more than
    `room`, the first ones to leave the shuffle buffer are taken.

    Args:
        batches: the stream.
        batch_size: of what is given.
        rng: for the draws.
        limit: how many samples to draw.
        room: bytes that waiting samples may take.
        ends: whether the stream is known to end.
        goes_on: called with how many samples were read for a draw where there were more.
    """
    samples = _Samples(batches)
    if limit is None:
        drawn = _shuffled(samples, rng, room)
    else:
        drawn = _draw(samples, rng, limit, _Bound(read_at_most(limit, ends=ends), room, goes_on))
    # The rest is known only when the samples have been read: both are generators, and run in turn.
    yield from limited(chain(_joined(drawn, batch_size), samples.rest()), limit)


def limited(batches: Iterator[Batch], limit: int | None) -> Iterator[Batch]:
    """Give `batches` up to `limit` samples; the last is cut unless its tensors do not share the first axis."""
    if limit is None:
        yield from batches
        return
    left = limit
    while left > 0 and (batch := next(batches, None)) is not None:
        given, left = left, left - batch.size
        yield batch.between(0, given) if batch.size > given and batch.is_in_step else batch
        del batch  # or it was held while the next one is read


class _Samples(Iterator[Batch]):
    """The samples of a stream, in the batches they came in, up to the first batch that does not fit those before it.

    Whoever keeps some of a batch copies them.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._form: object = None
        self._misfit: list[Batch] = []

    def __next__(self) -> Batch:
        batch = None if self._misfit else next(self._batches, None)
        if batch is None:
            raise StopIteration
        form = batch.form
        if not batch.is_in_step or (self._form is not None and form != self._form):
            self._misfit.append(batch)
            raise StopIteration
        self._form = form
        return batch

    def rest(self) -> Iterator[Batch]:
        """The batches that were not taken apart, if there was a misfit; to be read after the samples."""
        if self._misfit:
            yield from chain(self._misfit, self._batches)


@dataclass(frozen=True, slots=True)
class _Bound:
    """How many samples are read for a draw, what those that wait may take, and who is told where there are more."""

    most: int
    room: int
    goes_on: Callable[[int], None]

    def within(self, samples: Iterator[Batch]) -> Iterator[Batch]:
        """The first ones."""
        left = self.most
        for batch in samples:
            if batch.size > left:
                if left:
                    yield batch.between(0, left)
                self.goes_on(self.most)
                return
            left -= batch.size
            yield batch
            del batch  # or it was held while the next one is read


def _draw(samples: Iterator[Batch], rng: np.random.Generator, limit: int, bound: _Bound) -> Iterator[Batch]:
    first = next(samples, None)
    if first is None:
        return
    fit = limit * _bytes_of_one(first) <= bound.room
    samples = chain([first], samples)
    del first
    if fit:
        yield from _reservoir(bound.within(samples), rng, limit)
    else:
        yield from limited(_shuffled(samples, rng, bound.room), limit)


def _reservoir(samples: Iterator[Batch], rng: np.random.Generator, size: int) -> Iterator[Batch]:
    """`size` of the samples, each with the same chance (Vitter 1985, algorithm R), in random order, a few at a time."""
    kept: Places | None = None
    seen = 0
    for batch in samples:
        kept = kept or Places(batch, size)
        first = min(max(size - seen, 0), batch.size)
        if first:
            kept.put(seen, batch.between(0, first))
        for number in range(first, batch.size):
            if (place := int(rng.integers(seen + number + 1))) < size:
                kept.put(place, batch.between(number, number + 1))
        seen += batch.size
        del batch
    if kept is not None:
        yield from kept.taken(rng.permutation(min(seen, size)))


def _shuffled(samples: Iterator[Batch], rng: np.random.Generator, room: int) -> Iterator[Batch]:
    """All samples through a shuffle buffer, some at a time.

    Once it is full, a random one leaves it whenever one enters, and is read before that; what is in it at the end
    leaves it in random order.
    """
    buffer: Places | None = None
    capacity, number = 1, 0
    for batch in samples:
        if buffer is None:
            capacity = max(1, min(BUFFER_SAMPLES, room // max(1, _bytes_of_one(batch))))
            buffer = Places(batch, capacity)
        first = min(capacity - number, batch.size)
        if first:
            buffer.put(number, batch.between(0, first))
            number += first
        for entering in range(first, batch.size):
            place = int(rng.integers(capacity))
            yield buffer.at(place)
            buffer.put(place, batch.between(entering, entering + 1))
        del batch
    if buffer is not None:
        yield from buffer.taken(rng.permutation(number))


def _joined(samples: Iterator[Batch], batch_size: int) -> Iterator[Batch]:
    """The samples in batches of that size, in memory of their own; the last may be smaller."""
    places: Places | None = None
    number = 0
    for some in samples:
        start = 0
        while start < some.size:
            places = places or Places(some, batch_size)
            stop = min(start + batch_size - number, some.size)
            places.put(number, some.between(start, stop))
            number += stop - start
            start = stop
            if number == batch_size:
                yield places.first(number)
                places, number = None, 0
        del some
    if places is not None:
        yield places.first(number)


def _bytes_of_one(samples: Batch) -> int:
    return sum(tensor.nbytes for tensor in samples.between(0, 1).all_tensors)
