"""When to stop reading: once the mean of every layer is known as well as was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.data.batches import Source
from bncheck.results.notes import Note
from bncheck.results.notes.of_measuring import ReadingEnded
from bncheck.watch.recorder import Recorder


class Enough:
    """Stops the first pass over the data, and the next after as many samples.

    Args:
        until: standard error of every layer's mean, in standard deviations of the data; 0 reads everything.
        source: the data.

    Attributes:
        reached: whether they are known so well.
    """

    def __init__(self, until: float, source: Source) -> None:
        self._until = until
        self._all = source.samples
        self._error = math.inf
        self._read = 0
        self.reached = False

    @property
    def wanted(self) -> bool:
        """Whether recorders have to take in how samples spread."""
        return self._until > 0

    def is_reached(self, samples: int, *recorders: Recorder) -> bool:
        """Whether the means are known well enough after that many samples, by what these saw."""
        if not self.wanted:
            return False
        self._read = samples
        self._error = max(Recorder.merged(recorders).standard_errors().values(), default=math.inf)
        self.reached = self._error <= self._until
        return self.reached

    def was_reached(self, samples: int) -> bool:
        """Whether an earlier pass ended there."""
        return self.reached and samples >= self._read

    def notes(self) -> Iterator[Note]:
        """How far the reading got; nothing where all was to be read."""
        if self.wanted:
            error = self._error if math.isfinite(self._error) else None
            yield ReadingEnded(self._until, error, self.reached, self._read, self._all)
