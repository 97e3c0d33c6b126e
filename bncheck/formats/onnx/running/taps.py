"""From the sums that leave an instrumented graph to moments per sample and channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck.core import SampleMoments
from bncheck.formats.onnx.graph import NormNode
from bncheck.formats.onnx.running.tap_names import (
    BLOCKS,
    CENTRE,
    CENTRED_SQUARES,
    CHANNELS,
    MEAN,
    REST,
    SHAPE,
    SQUARES,
    tap_name,
)
from bncheck.watch import BLOCK, CANCELLATION

FloatArray = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

_EARLY = 2.0
"""Channels are centred from this fraction of `CANCELLATION` on, once a batch has to be read again anyway."""


class StoredTap:
    """Reads one node's sums, and knows how its next batch has to be summed.

    Sums of squares lose digits in long runs and under large means: values are summed in blocks, and
    channels whose mean is large against their spread are read centred. Which ones need it, a batch tells.

    Numerics: as `bncheck.watch.kernels.sample_moments`.
    """

    def __init__(self, number: int, node: NormNode) -> None:
        self.layer = node.layer
        self.fold = node.fold
        self._number = number
        self._blocks: dict[int, int] = {}
        self._positions = 1
        self._channels = _with_large_mean(node)

    def feeds(self) -> dict[str, npt.NDArray[np.int64]]:
        """What the graph has to be told."""
        blocks = self._blocks.get(self._positions, 1)
        return {
            tap_name(BLOCKS, self._number): np.array([0, 0, blocks, -1]),
            tap_name(CHANNELS, self._number): self._channels,
        }

    def forget_size(self) -> None:
        """The next batch may have maps of another size."""
        self._positions = 1

    def refine(self, values: Arrays, table: SampleMoments) -> bool:
        """Learn from a batch and what it gave; whether it has to be run again for its sums to be exact."""
        positions = self._size(values)
        wanted = self._blocks.setdefault(positions, _number_of_blocks(positions))
        changed = wanted != self._blocks.get(self._positions, 1)
        self._positions = positions
        return self._add_channels(table) or changed

    def table(self, values: Arrays) -> SampleMoments:
        """Moments of every sample of a batch, of a folded operation those of its output."""
        positions = self._size(values)
        mean = self._of(values, MEAN).mean(axis=2)
        with np.errstate(invalid="ignore", over="ignore"):
            m2 = np.maximum(self._of(values, SQUARES).sum(axis=2) - positions * mean**2, 0.0)
            if self._channels.size:
                rest = self._of(values, REST).mean(axis=2)
                mean[:, self._channels] = self._of(values, CENTRE)[:, :, 0, 0] + rest
                squares = self._of(values, CENTRED_SQUARES).sum(axis=2)
                m2[:, self._channels] = np.maximum(squares - positions * rest**2, 0.0)
        if positions <= 1:
            m2 = np.where(np.isfinite(mean), 0.0, m2)
        return SampleMoments(np.full(len(mean), float(positions)), mean, m2)

    def _add_channels(self, table: SampleMoments) -> bool:
        positions = table.count[0] if len(table) else 0.0
        if positions <= 1:
            return False
        with np.errstate(invalid="ignore", over="ignore"):
            within = table.m2.mean(axis=0) / positions
            square = np.mean(table.mean**2, axis=0)
        known = np.isin(np.arange(table.channels), self._channels)
        if not np.any((square > CANCELLATION * within) & ~known):
            return False
        chosen = known | (square * _EARLY > CANCELLATION * within)
        self._channels = np.flatnonzero(chosen)
        return True

    def _size(self, values: Arrays) -> int:
        """Spatial positions of a sample."""
        shape = values[tap_name(SHAPE, self._number)]
        return int(shape[2] * shape[3])

    def _of(self, values: Arrays, what: str) -> FloatArray:
        return np.asarray(values[tap_name(what, self._number)], dtype=np.float64)


def stored_taps(nodes: Sequence[NormNode]) -> list[StoredTap]:
    """A tap for every node."""
    return [StoredTap(number, node) for number, node in enumerate(nodes)]


def _with_large_mean(node: NormNode) -> npt.NDArray[np.int64]:
    """Channels that, going by what is stored, will need to be centred."""
    mean, var = (node.layer.mean, node.layer.var) if node.fold is None else node.fold.output_statistics()
    if mean is None or var is None:
        return np.zeros(0, dtype=np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.flatnonzero(mean**2 > CANCELLATION * var)


def _number_of_blocks(positions: int) -> int:
    """Blocks of equal length, `BLOCK` values at most; one where no number nearby divides the positions."""
    fewest = -(-positions // BLOCK)
    return next((number for number in range(max(fewest, 1), 4 * fewest + 1) if positions % number == 0), 1)
