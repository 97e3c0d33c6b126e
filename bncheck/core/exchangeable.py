"""Whether batches are random draws from one population, or sorted, grouped, from one source each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core.thresholds import THRESHOLDS

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exchangeability:
    """A one-way analysis of variance of per-sample means, the batch being the group.

    Attributes:
        batches: compared with one another.
        batch_size: samples in each.
        ratio: F = B x Var(batch means) / mean(within-batch variance), the average over the channels of the layer
            where it is largest; 1 for random batches.
        layer: that layer.
        random: the mean of the same number over random rearrangements of the samples into batches.
        random_spread: its standard deviation over them.
    """

    batches: int
    batch_size: int
    ratio: float
    layer: str
    random: float
    random_spread: float

    @property
    def correlation(self) -> float:
        """Intraclass correlation: the share of the variance that lies between batches, 0 for random ones."""
        return (self.ratio - 1) / (self.ratio - 1 + self.batch_size)

    @property
    def is_grouped(self) -> bool:
        """Tell whether batches vary far more than random batches do, and by enough to matter."""
        beyond = self.ratio > self.random + THRESHOLDS.beyond_random * self.random_spread
        return beyond and self.ratio > THRESHOLDS.ratio and self.correlation > THRESHOLDS.correlation

    @property
    def effective_size(self) -> float:
        """How many samples, drawn at random, a batch is worth: B / (1 + (B - 1) x correlation), 1 at the least.

        That is the batch size over the design effect (Kish 1965, section 5.4).
        """
        return self.batch_size / (1 + (self.batch_size - 1) * max(self.correlation, 0.0))


def exchangeability(
    means: Mapping[str, npt.NDArray[np.floating]], batches: int, batch_size: int, seed: int
) -> Exchangeability | None:
    """Compare batches by the means of their samples.

    The largest over many layers and correlated channels has no tabled distribution, so it is taken of random
    batches too: the samples are put into batches at random, again and again.

    Args:
        means: by layer, one row per sample, the batches one after the other: shape (batches * batch_size, C).
        batches: how many.
        batch_size: samples in each.
        seed: of the rearrangements.

    Returns:
        `None` where there are too few batches, batches of one, or nothing that varies.

    Source: Fisher 1925, chapter 7; the permutation of the largest: Westfall & Young 1993.
    """
    too_few = batches < THRESHOLDS.fewest_batches or batches * batch_size < THRESHOLDS.fewest_ordered_samples
    if too_few or batch_size < 2:
        return None
    standardized = {name: scaled for name, values in means.items() if (scaled := _standardized(values)).size}
    if not standardized:
        return None
    given = np.arange(batches * batch_size)
    ratios = {name: _ratio(values, given, batches) for name, values in standardized.items()}
    worst = max(ratios, key=ratios.__getitem__)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(given) for _ in range(THRESHOLDS.rearrangements)]
    at_random = [max(_ratio(values, order, batches) for values in standardized.values()) for order in orders]
    return Exchangeability(
        batches, batch_size, ratios[worst], worst, float(np.mean(at_random)), float(np.std(at_random, ddof=1))
    )


def _standardized(means: npt.NDArray[np.floating]) -> FloatArray:
    """Keep the channels that vary, with mean 0 and variance 1; what is not finite takes its channel along."""
    values = np.asarray(means, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        centred = values - values.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0))
    usable = np.isfinite(spread) & (spread > 1e-9 * (1e-30 + np.abs(values).max(axis=0, initial=0.0)))
    return np.asarray(centred[:, usable] / spread[usable])


def _ratio(values: FloatArray, order: npt.NDArray[np.intp], batches: int) -> float:
    """Give F, averaged over the channels of standardized `values` in that order."""
    samples = len(values)
    size = samples // batches
    means = values[order].reshape(batches, size, -1).mean(axis=1)
    between = size * (means**2).sum(axis=0)
    within = np.maximum(samples - between, 1e-9 * samples)
    return float(np.mean(between / (batches - 1) / (within / (samples - batches))))
