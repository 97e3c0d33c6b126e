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
    CENTRED_TAPS,
    CHANNELS,
    MEAN,
    REST,
    SHAPE,
    SQUARES,
    STORED_TAPS,
    tap_name,
)
from bncheck.watch import BLOCK, CANCELLATION

FloatArray = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

_EARLY = 2.0
"""Channels are centred from this fraction of `CANCELLATION` on, once a batch has to be read again anyway."""
_LENGTHS = (*range(64, 15, -1), *range(65, BLOCK + 1), *range(15, 0, -1))
"""Of blocks, the fastest first."""


class Blocks:
    """Into how many blocks a node's values are parted: sums lose digits in long runs. What it is fed, a batch tells."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.forget_size()

    def feeds(self) -> dict[str, npt.NDArray[np.int64]]:
        """What a graph has to be told of them."""
        return {tap_name(BLOCKS, self._number): np.array([0, 0, self._blocks, -1])}

    def forget_size(self) -> None:
        """The next batch may have maps of another size."""
        self._blocks = 1

    def refine(self, values: Arrays) -> bool:
        """Learn from what a batch gave; whether it has to be run again for its sums to be exact."""
        before, self._blocks = self._blocks, _number_of_blocks(self.size(values)[1])
        return self._blocks != before

    def size(self, values: Arrays) -> tuple[int, int]:
        """Samples of a batch, and spatial positions of each."""
        samples, _, blocks, length = map(int, values[tap_name(SHAPE, self._number)])
        return samples, blocks * length


class StoredTap:
    """Reads one node's sums, and knows how its next batch has to be summed.

    Channels whose mean is large against their spread are read centred, in which a batch tells which need it.

    Numerics: as `bncheck.watch.kernels.sample_moments`.
    """

    def __init__(self, number: int, node: NormNode) -> None:
        self.layer = node.layer
        self.fold = node.fold
        self.blocks = Blocks(number)
        self._number = number
        self._channels = _with_large_mean(node)

    def feeds(self) -> dict[str, npt.NDArray[np.int64]]:
        """What the graph has to be told."""
        return self.blocks.feeds() | {tap_name(CHANNELS, self._number): self._channels}

    def wanted(self) -> list[str]:
        """What the graph is to give; what is centred only where a channel is."""
        taps = (*STORED_TAPS, *(CENTRED_TAPS if self._channels.size else ()))
        return [tap_name(what, self._number) for what in taps]

    def refine(self, values: Arrays, table: SampleMoments) -> bool:
        """Learn from a batch and what it gave; whether it has to be run again for its sums to be exact."""
        resized = self.blocks.refine(values)
        return self._add_channels(table) or resized

    def table(self, values: Arrays) -> SampleMoments:
        """Moments of every sample of a batch, of a folded operation those of its output."""
        _, positions = self.blocks.size(values)
        mean = self._of(values, MEAN)
        with np.errstate(invalid="ignore", over="ignore"):
            m2 = np.maximum(self._of(values, SQUARES) - positions * mean**2, 0.0)
            if self._channels.size:
                rest = self._of(values, REST)
                mean[:, self._channels] = self._of(values, CENTRE) + rest
                squares = self._of(values, CENTRED_SQUARES)
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
        known = np.zeros(table.channels, dtype=bool)
        known[self._channels] = True
        if not np.any((square > CANCELLATION * within) & ~known):
            return False
        chosen = known | (square * _EARLY > CANCELLATION * within)
        self._channels = np.flatnonzero(chosen)
        return True

    def _of(self, values: Arrays, what: str) -> FloatArray:
        return np.array(values[tap_name(what, self._number)], dtype=np.float64)


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
    """Blocks of equal length, of what length is fast if one divides the positions; of single values if none does."""
    return next(positions // length for length in _LENGTHS if positions % length == 0) or 1
