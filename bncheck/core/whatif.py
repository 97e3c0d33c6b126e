"""What training would see at other batch sizes, resampled from one pass over the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core.gap import compare, rms
from bncheck.core.moments import SampleMoments

FloatArray = npt.NDArray[np.float64]

BATCHES_PER_SIZE = 64
"""Batches drawn for each size: enough for a 5th percentile, few enough to cost nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredChannels:
    """A layer's stored statistics beside its samples' moments: what a what-if needs of it."""

    samples: SampleMoments
    mean: FloatArray
    var: FloatArray
    eps: float


@dataclass(frozen=True, slots=True)
class BatchSizeRow:
    """How mini-batch statistics of one batch size differ from the stored ones.

    Attributes:
        batch_size: samples in a batch.
        gap: RMS over channels and batches, then over layers.
        shift: 95th percentile of |d| over channels and batches of all layers.
        scale_low, scale_high: 5th and 95th percentile of r over the same.
    """

    batch_size: int
    gap: float
    shift: float
    scale_low: float
    scale_high: float


def batch_size_rows(layers: Sequence[StoredChannels], sizes: Sequence[int], seed: int) -> tuple[BatchSizeRow, ...]:
    """Give one row per batch size that the samples can fill; no forward pass is needed.

    Batches are drawn without replacement within a batch, up to `BATCHES_PER_SIZE` of each size. At one
    sample per batch and one value per channel the batch's variance is 0: r is sqrt(eps)/s, close to 0, and
    every example is mapped to beta in training.

    Args:
        layers: the measured layers; all tables need not hold the same number of samples.
        sizes: batch sizes asked for.
        seed: of the draws.
    """
    usable = min((len(layer.samples) for layer in layers), default=0)
    generator = np.random.default_rng(seed)
    return tuple(
        _row(layers, size, _draw(generator, usable, size)) for size in sorted(set(sizes)) if 1 <= size <= usable
    )


def _draw(generator: np.random.Generator, samples: int, size: int) -> npt.NDArray[np.intp]:
    """Draw the indices of up to `BATCHES_PER_SIZE` batches, one after the other."""
    per_permutation = samples // size
    permutations = -(-min(BATCHES_PER_SIZE, 4 * per_permutation) // per_permutation)
    drawn = [generator.permutation(samples)[: per_permutation * size] for _ in range(permutations)]
    return np.concatenate(drawn)[: BATCHES_PER_SIZE * size]


def _row(layers: Sequence[StoredChannels], size: int, order: npt.NDArray[np.intp]) -> BatchSizeRow:
    gaps, shifts, scales = [], [], []
    for layer in layers:
        mean, variance = layer.samples.batches(order, size)
        difference = compare(mean, variance, layer.mean, layer.var, layer.eps)
        gaps.append(rms(difference.gap))
        shifts.append(np.abs(difference.shift).ravel())
        scales.append(difference.scale.ravel())
    with np.errstate(invalid="ignore"):  # between two infinite ones NumPy's interpolation is inf - inf
        low, high = np.percentile(np.concatenate(scales), [5, 95])
        shift = float(np.percentile(np.concatenate(shifts), 95))
    return BatchSizeRow(size, rms(gaps), shift, float(low), float(high))
