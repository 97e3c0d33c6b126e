"""Moments of slices of the data (a site, a camera, a class), and how far each lies from what is stored.

What is kept of a slice are sums over its samples, so that the memory does not grow with them: of every sample's mean,
of its mean square about what is stored, and of how both spread and move together, which is the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bncheck.core.gap import Gap, compare
from bncheck.core.moments import FloatArray, SampleMoments
from bncheck.core.noise import MovingAverage, student_quantile
from bncheck.core.thresholds import THRESHOLDS

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SliceMoments:
    """What the slices' samples show at one call, a row for each slice; `a + b` describes both.

    A sample weighs as many values as it has, so that slices pool to what all values have; for InstanceNorm, which
    averages over samples, each weighs the same.

    Attributes:
        samples: of the slice, shape (S,).
        weight: sum of their weights, (S,).
        squares: sum of the squared weights, (S,).
        mean: of the samples' means, (S, C).
        mean_m2: weighted sum of their squared deviations, (S, C).
        square: of the samples' mean squares about the centre (for InstanceNorm: their own variances), (S, C).
        square_m2: weighted sum of their squared deviations, (S, C).
        cross: weighted sum of the products of both deviations, (S, C).

    Numerics: float64; merged by Chan's formula, as `Moments` are.
    """

    samples: FloatArray
    weight: FloatArray
    squares: FloatArray
    mean: FloatArray
    mean_m2: FloatArray
    square: FloatArray
    square_m2: FloatArray
    cross: FloatArray

    def __len__(self) -> int:
        return len(self.samples)

    @classmethod
    def empty(cls, slices: int, channels: int) -> SliceMoments:
        """The neutral element of `+`."""
        row, table = (slices,), (slices, channels)
        return cls(*(np.zeros(shape) for shape in (row, row, row, table, table, table, table, table)))

    @classmethod
    @np.errstate(invalid="ignore", over="ignore")
    def of(
        cls, table: SampleMoments, codes: Codes, centre: FloatArray, *, instance: bool = False
    ) -> tuple[Codes, SliceMoments]:
        """Moments of the slices that samples belong to, and which slices these are, in ascending order.

        Args:
            table: per-sample moments, shape (n, C).
            codes: the slice of each sample, (n,).
            centre: about which squares are taken, (C,): what is stored, so that they lose no digits.
            instance: the layer is an InstanceNorm.
        """
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        own = np.diff([*starts, len(order)])
        rows = table.take(order)
        weights = np.ones(len(rows)) if instance else rows.count
        divisor = np.maximum(rows.count - 1, 1) if instance else rows.count
        square = rows.m2 / divisor[:, None]
        if not instance:
            square = square + (rows.mean - centre) ** 2

        def summed(values: FloatArray) -> FloatArray:
            total: FloatArray = np.add.reduceat(values, starts, axis=0)  # what is not finite stays in its own slice
            return total

        weight = summed(weights)
        means = [summed(weights[:, None] * values) / weight[:, None] for values in (rows.mean, square)]
        first, second = (
            values - np.repeat(mean, own, axis=0) for values, mean in zip((rows.mean, square), means, strict=True)
        )
        products = (summed(weights[:, None] * one * other) for one, other in ((first, first), (second, second)))
        mean_m2, square_m2 = products
        cross = summed(weights[:, None] * first * second)
        moments = cls(own.astype(float), weight, summed(weights**2), means[0], mean_m2, means[1], square_m2, cross)
        return present.astype(np.int64), moments

    def at(self, rows: Codes | slice) -> SliceMoments:
        """Those rows."""
        return SliceMoments(*(getattr(self, each.name)[rows] for each in fields(self)))

    def put(self, rows: Codes, moments: SliceMoments) -> None:
        """Write these rows in their places; for who accumulates."""
        for each in fields(self):
            getattr(self, each.name)[rows] = getattr(moments, each.name)

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def __add__(self, other: SliceMoments) -> SliceMoments:
        """Moments of both, row by row."""
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)[:, None]
        both = self.weight[:, None] * share
        first, second = other.mean - self.mean, other.square - self.square
        return SliceMoments(
            self.samples + other.samples,
            weight,
            self.squares + other.squares,
            self.mean + share * first,
            self.mean_m2 + other.mean_m2 + both * first**2,
            self.square + share * second,
            self.square_m2 + other.square_m2 + both * second**2,
            self.cross + other.cross + both * first * second,
        )


@dataclass(frozen=True, slots=True, eq=False)
class SliceGap:
    """How far one slice lies from what a layer stores.

    Attributes:
        mean, var: of the slice, (C,).
        gap: from what is stored.
        noise: per channel, what sampling alone would show, (C,); infinite below two samples.
    """

    mean: FloatArray
    var: FloatArray
    gap: Gap
    noise: FloatArray


@np.errstate(invalid="ignore", over="ignore", divide="ignore")
def slice_gap(
    moments: SliceMoments,
    centre: FloatArray,
    stored: tuple[FloatArray, FloatArray, float],
    average: MovingAverage,
    *,
    instance: bool = False,
) -> SliceGap:
    """Compare the only row of `moments` with what a layer stores; the noise is that of `noise_floor`.

    Args:
        moments: of one slice.
        centre: about which they were taken, (C,).
        stored: mean, variance, (C,), and eps.
        average: how the stored statistics were made.
        instance: the layer is an InstanceNorm.
    """
    stored_mean, stored_var, eps = stored
    mean, square = moments.mean[0], moments.square[0]
    off = np.zeros_like(mean) if instance else mean - centre
    var = square if instance else np.maximum(square - off**2, 0.0)
    effective = float(moments.weight[0] ** 2 / moments.squares[0]) if moments.squares[0] > 0 else 0.0
    gap = compare(mean, var, stored_mean, stored_var, eps)
    if effective < 2 - THRESHOLDS.alike:
        return SliceGap(mean, var, gap, np.full_like(mean, np.inf))
    unbiased = effective / (effective - 1) / moments.weight[0]
    # One sample's say on the variance is its mean square about the slice's own mean.
    spread = moments.square_m2[0] - 4 * off * moments.cross[0] + 4 * off**2 * moments.mean_m2[0]
    sigma = np.where(stored_var + eps > 0, stored_var + eps, np.nan)
    scale = np.where(var + eps > 0, np.maximum(spread, 0.0) / (4 * (var + eps) * sigma), 0.0)
    weight = np.where(var > 0, var / (var + eps), var * 0.0)
    share = 1 / effective + 1 / average.effective_samples
    noise = np.sqrt((moments.mean_m2[0] / sigma + weight * scale) * unbiased * share)
    return SliceGap(mean, var, gap, noise)


def sure_of_slice(gap: float, noise: float, samples: float, slices: int) -> float:
    """Give by how much a slice's gap exceeds what noise may show, with 95 % confidence for all slices together.

    Channels may all move together, so the noise is taken in one direction (as `smallest_detectable_gap` does), and the
    confidence is shared out over the slices (Bonferroni): of many small ones the largest gap is chance.

    Returns:
        Below 0 where it does not; minus infinity below `FEWEST_GROUPS` samples.
    """
    if samples < THRESHOLDS.fewest_groups or not math.isfinite(noise) or math.isnan(gap):
        return -math.inf
    return gap - student_quantile(samples - 1, family_z(slices)) * noise


def family_z(number: int) -> float:
    """Give the normal quantile by which so many bounds hold together with 95 % confidence (Bonferroni)."""
    return NormalDist().inv_cdf(1 - (1 - NormalDist().cdf(THRESHOLDS.confidence_z)) / max(number, 1))
