"""When to stop reading: once the mean of every layer is known as well as was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bncheck.data.batches import Source
from bncheck.measure.folds import WHOLE, Shard
from bncheck.vocabulary import argument
from bncheck.watch.recorder import Recorder


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

    until: float
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

    def notes(self) -> Iterator[str]:
        """How far the reading got; nothing where all was to be read."""
        if self.is_wanted:
            yield self._note()

    def _note(self) -> str:
        asked = f"({argument('until')} {self.until:g})"
        if not math.isfinite(self.error):
            return f"all was read, in too few batches to tell how well the means are known {asked}"
        known = f"every layer's mean is known to {self.error:.2g} standard deviations"
        if not self.is_reached:
            return f"all was read, and {known} only {asked}"
        if self.read == self.total:
            return f"all was read, and {known} {asked}"
        read = f"{self.read}" if self.total is None else f"{self.read} of {self.total}"
        return f"reading ended after {read} samples: {known} {asked}"
