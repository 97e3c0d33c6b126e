"""Per-sample moments of one call, as many of them as there is room for: those with the smallest keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core import SampleMoments
from bncheck.watch.keys import Keys, Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Per-sample moments, each with what draws and orders its sample.

    Attributes:
        keys: the samples' keys, (n,): those with the smallest are kept.
        numbers: which samples of the reading they are, (n,): in this order they are given out.
        table: their moments.
    """

    keys: Keys
    numbers: Numbers
    table: SampleMoments

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def bytes(self) -> npt.NDArray[np.int64]:
        """Memory that each row takes, (n,)."""
        return np.full(len(self), 2 * self.table.channels * self.table.mean.itemsize, dtype=np.int64)

    def below(self, limit: int) -> Rows:
        """The rows whose key is below `limit`."""
        chosen = np.flatnonzero(self.keys < np.uint64(limit)) if limit < 2**64 else np.arange(len(self))
        return self if len(chosen) == len(self) else self._take(chosen)

    def ordered(self) -> Rows:
        """The rows by their numbers; those of one sample stay as they came."""
        order = np.argsort(self.numbers, kind="stable")
        return self if bool((np.diff(self.numbers) >= 0).all()) else self._take(order)

    @staticmethod
    def joined(parts: list[Rows]) -> Rows:
        """All rows of `parts`, of which there is one at the least."""
        if len(parts) == 1:
            return parts[0]
        return Rows(
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.numbers for part in parts]),
            SampleMoments.concatenate([part.table for part in parts]),
        )

    def _take(self, chosen: npt.NDArray[np.intp]) -> Rows:
        return Rows(self.keys[chosen], self.numbers[chosen], self.table.take(chosen))


def rows_of(table: SampleMoments, keys: Keys, numbers: Numbers) -> Rows:
    """The rows of `table`, which belong to the samples of these keys and numbers.

    Where there are more rows than samples, or fewer (regions, tokens), they are shared out in order.
    """
    if len(table) != len(keys):
        owners = np.arange(len(table)) * len(keys) // max(len(table), 1)
        keys, numbers = keys[owners], numbers[owners]
    return Rows(keys, numbers, table)


def limit_for(parts: list[Rows], most: int) -> int:
    """The key below which rows are kept, such that they take `most` bytes: of the samples in order of their keys."""
    keys = np.concatenate([part.keys for part in parts])
    order = np.argsort(keys)
    taken = np.cumsum(np.concatenate([part.bytes for part in parts])[order])
    over = int(np.searchsorted(taken, most, side="right"))
    return 2**64 if over == len(order) else int(keys[order[over]])
