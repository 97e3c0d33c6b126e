"""Which samples of a reading each of several processes takes, where they can be read by number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bncheck.data import Source, Span

SMALL_BATCH = 16
"""Below this many samples batch statistics say more about the batch than about the layer."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of the pairs of half batches: number `index` of every `count` that are read, from 0.

    Attributes:
        apart: nobody else is at hand while it is read: it goes by its own samples alone, and what it collects is put
            together with the others' afterwards.
        joint: see `JointShard`.
    """

    index: int = 0
    count: int = 1
    apart: bool = False
    joint: ClassVar[bool] = False

    def takes(self, number: int) -> bool:
        """Whether the pair of that number belongs to the share."""
        return number % self.count == self.index

    def part(self, span: Span) -> Span:
        """Its part of samples that all take some of, as equal as they come out."""
        start, held = span[0], span[1] - span[0]
        return start + held * self.index // self.count, start + held * (self.index + 1) // self.count


class JointShard(Shard):
    """A part of every half batch instead, which all processes normalize together."""

    __slots__ = ()
    joint: ClassVar[bool] = True


WHOLE = Shard()


@dataclass(frozen=True, slots=True)
class Portion:
    """What a process reads of one pair of half batches.

    Attributes:
        number: of the pair.
        spans: the samples of both halves in one, or those of its part of each.
        least: samples that a half must have to be normalized by its own statistics.
        is_large: whether the halves of all processes together have as many.
    """

    number: int
    spans: tuple[Span, ...]
    least: int
    is_large: bool = True


def portions_of(total: int, half: int, shard: Shard, fixed: int | None = None) -> Iterator[Portion]:
    """The portions of a shard, in order.

    A last few samples are not normalized by themselves where others came before. Which they are follows from their
    number, so that all processes know it of all portions, whatever each of them has read.

    Args:
        total: samples in the reading.
        half: samples in a half batch of one process.
        shard: whose they are.
        fixed: the only batch size that the model takes.
    """
    share = half * (shard.count if shard.joint else 1)
    for number, start in enumerate(range(0, total, 2 * share)):
        stop = min(start + 2 * share, total)
        least = min(SMALL_BATCH, min(number, 2) * share)
        if not shard.joint:
            if shard.takes(number):
                yield Portion(number, ((start, stop),), least)
        elif fixed is None:
            middle = start + (stop - start + 1) // 2
            spans = shard.part((start, middle)), shard.part((middle, stop))
            yield Portion(number, spans, least, stop - middle >= max(shard.count, least))
        else:
            yield Portion(number, _fixed_parts(start, stop, fixed, shard), least, stop - start == 2 * share)


def _fixed_parts(start: int, stop: int, fixed: int, shard: Shard) -> tuple[Span, Span]:
    """One batch of the only size for each half, where there are so many; what is left over is the last one's."""
    places = [start + fixed * (half * shard.count + shard.index) for half in range(2)]
    first, second = ((min(place, stop), min(place + fixed, stop)) for place in places)
    return first, second


def expected_samples(source: Source, limit: int | None) -> int | None:
    """How many a reading gives, as far as that is known: the limit at the most."""
    if source.samples is None:
        return limit
    return source.samples if limit is None else min(limit, source.samples)
