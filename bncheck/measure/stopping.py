"""When to stop: reading, once every layer's mean is known well enough; looking closer, once that decides no more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bncheck.data import ScreenedSource, Source
from bncheck.measure.folds import FoldPair
from bncheck.measure.processes.portions import WHOLE, Shard, expected_samples
from bncheck.results import Note, ReadingEnded
from bncheck.watch import Recorder

FIRST_LOOK, FEWEST, GROWTH = 1024, 1000, 3
"""Samples of the first look, at half of them the least; of how many it is some; and how many times more the next takes
in."""


@dataclass(frozen=True, slots=True)
class Look:
    """The samples that are run by the batch and with recalibrated statistics too, which takes two forwards of each.

    Attributes:
        start: number of the first in the reading.
        stop: number of the first that is none of them; `None` where all are.
    """

    start: int = 0
    stop: int | None = None

    @classmethod
    def first(cls, source: Source, limit: int | None, *, whole: bool, shard: Shard = WHOLE) -> Look:
        """The first look; all samples where that is wanted, or the early ones may be unlike the late ones.

        A shard that is read apart gets no other, so that it takes as many of its own as one process does of all.
        """
        samples = expected_samples(source, limit)
        draws_from_all = isinstance(source, ScreenedSource) and source.can_split
        if whole or not draws_from_all or samples is None or samples < FEWEST:
            return cls()
        if shard.apart:
            return cls(0, shard.count * FIRST_LOOK) if samples > shard.count * FIRST_LOOK else cls()
        return cls(0, min(FIRST_LOOK, samples // 2))

    @classmethod
    def after(cls, samples: int) -> Look:
        """The look that follows so many samples."""
        return cls(samples, GROWTH * samples)

    def holds(self, pair: FoldPair) -> bool:
        """Whether these are some of them; the first pair always is."""
        if pair.start < self.start:
            return False
        return self.stop is None or pair.start == self.start or pair.start + pair.size <= self.stop


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Says when enough has been read; it ends the first pass over the data, and the next after as many samples.

    Attributes:
        until: standard error of every layer's mean, in standard deviations of the data; 0 reads everything.
        total: samples that the data have; `None` where that is not known.
        shards: how many read the data: each may stop where the means are known less well by the root of that.
        read: samples behind `error`, as far as it was reached.
        error: the largest error of a layer's mean.
    """

    until: float = 0.0
    total: int | None = None
    shards: int = 1
    read: int = 0
    error: float = math.inf

    @classmethod
    def of(cls, until: float, source: Source, shard: Shard = WHOLE) -> StoppingRule:
        """The rule for a shard of `source`."""
        return cls(until, source.samples, shard.count)

    @property
    def is_wanted(self) -> bool:
        """Whether recorders have to take in how samples spread."""
        return self.until > 0

    @property
    def is_reached(self) -> bool:
        """Whether the means are known well enough."""
        return self.is_wanted and self.error <= self.until * math.sqrt(self.shards)

    def after(self, samples: int, *recorders: Recorder) -> StoppingRule:
        """The rule after that many samples, by what these recorders saw of them."""
        if not self.is_wanted:
            return self
        seen = recorders[0] if len(recorders) == 1 else Recorder.merged(recorders)
        errors = seen.standard_errors().values()
        return replace(self, read=samples, error=max(errors, default=math.inf))

    def was_reached(self, samples: int) -> bool:
        """Whether an earlier pass ended there."""
        return self.is_reached and samples >= self.read

    def merge(self, other: StoppingRule, *recorders: Recorder) -> StoppingRule:
        """The rule over what both have read, which these recorders saw together."""
        return replace(self, shards=1).after(self.read + other.read, *recorders)

    def notes(self) -> Iterator[Note]:
        """How far the reading got; nothing where all was to be read."""
        if self.is_wanted:
            error = self.error if math.isfinite(self.error) else None
            yield ReadingEnded(self.until, error, self.is_reached, self.read, self.total)
