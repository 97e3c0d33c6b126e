"""First and second moments per channel, and how they merge.

The merge is Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance": the same
formula joins samples, batches and processes, in float64, without cancellation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations of every channel; `a + b` describes both together.

    No divisor is stored: PyTorch normalizes by the biased variance (1/n) and stores the unbiased one
    (1/(n - 1)), so every read names the one it means.

    Attributes:
        count: number of values per channel.
        mean: shape (C,).
        m2: sum of squared deviations from the mean, shape (C,).

    Numerics: float64 throughout; merging is exact up to rounding at any offset of the mean.

    >>> a, b = Moments.of(np.array([[1.0], [3.0]])), Moments.of(np.array([[8.0]]))
    >>> (a + b).count, (a + b).mean.tolist(), (a + b).m2.tolist()
    (3.0, [4.0], [26.0])
    """

    count: float
    mean: FloatArray
    m2: FloatArray

    @classmethod
    def empty(cls, channels: int) -> Moments:
        """The neutral element of `+`."""
        return cls(0.0, np.zeros(channels), np.zeros(channels))

    @classmethod
    @np.errstate(invalid="ignore", over="ignore")
    def of(cls, values: npt.ArrayLike) -> Moments:
        """Moments of `values`, shape (n, C), in two passes."""
        array = np.asarray(values, dtype=np.float64)
        if len(array) == 0:
            return cls.empty(array.shape[1])
        mean = array.mean(axis=0)
        return cls(float(len(array)), mean, ((array - mean) ** 2).sum(axis=0))

    @np.errstate(invalid="ignore", over="ignore")
    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets of values together."""
        count = self.count + other.count
        if count == 0:
            return self
        delta = other.mean - self.mean
        share = other.count / count
        return Moments(
            count,
            self.mean + delta * share,
            self.m2 + other.m2 + delta**2 * (self.count * share),
        )

    @property
    def variance(self) -> FloatArray:
        """Population variance, m2 / n (biased; what a batch is normalized by). NaN where n is 0."""
        return _divide(self.m2, self.count)

    @property
    def unbiased_variance(self) -> FloatArray:
        """m2 / (n - 1) (what PyTorch stores). NaN where n is below 2."""
        return _divide(self.m2, self.count - 1)


@dataclass(frozen=True, slots=True, eq=False)
class InstanceMoments:
    """What InstanceNorm keeps running averages of: the mean and the unbiased variance *within* a sample.

    Nothing varies between samples here: `torch.nn.InstanceNorm2d(track_running_stats=True)` averages
    each sample's own statistics, so the spread of the samples' means is no part of its variance.

    Attributes:
        count: number of samples.
        mean: average over samples of the sample's mean, shape (C,).
        variance: average over samples of the sample's variance (divisor n - 1), shape (C,).
    """

    count: float
    mean: FloatArray
    variance: FloatArray

    @classmethod
    def empty(cls, channels: int) -> InstanceMoments:
        """The neutral element of `+`."""
        return cls(0.0, np.zeros(channels), np.zeros(channels))

    @np.errstate(invalid="ignore", over="ignore")
    def __add__(self, other: InstanceMoments) -> InstanceMoments:
        """Averages over both sets of samples."""
        count = self.count + other.count
        if count == 0:
            return self
        share = other.count / count
        return InstanceMoments(
            count,
            self.mean + share * (other.mean - self.mean),
            self.variance + share * (other.variance - self.variance),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SampleMoments:
    """Per-sample moments: the sufficient statistic of all what-ifs.

    A sample's activations do not depend on the composition of its batch while stored statistics are used, so the
    statistics of any batch that could have been drawn follow from these.

    Attributes:
        count: values (spatial positions) per channel in each sample, shape (n,).
        mean: shape (n, C).
        m2: sum of squared deviations from the sample's own mean, shape (n, C).
    """

    count: FloatArray
    mean: FloatArray
    m2: FloatArray

    def __len__(self) -> int:
        return len(self.count)

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return int(self.mean.shape[1])

    @classmethod
    def concatenate(cls, parts: Sequence[SampleMoments]) -> SampleMoments:
        """All the samples of `parts`, in order; there must be at least one part."""
        return cls(
            np.concatenate([part.count for part in parts]),
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.m2 for part in parts]),
        )

    def take(self, indices: npt.NDArray[np.intp]) -> SampleMoments:
        """The samples at `indices`, shape (k,)."""
        return SampleMoments(self.count[indices], self.mean[indices], self.m2[indices])

    def counting(self, values: int) -> SampleMoments:
        """The same of samples of so many values per channel, of which these are a draw."""
        count = np.full(len(self), float(values))
        return SampleMoments(count, self.mean, self.m2 * (count / self.count)[:, None])

    def merge_rows(self, rows: int) -> SampleMoments:
        """Each run of `rows` consecutive entries as one sample (frames of a video, crops of an image)."""
        if rows == 1:
            return self
        shape = (len(self) // rows, rows, self.channels)
        count, mean, m2 = _merge(self.count.reshape(shape[:2]), self.mean.reshape(shape), self.m2.reshape(shape))
        return SampleMoments(count, mean, m2)

    def pooled(self) -> Moments:
        """Moments of all values of all samples: within-sample plus between-sample deviations."""
        if len(self) == 0:
            return Moments.empty(self.channels)
        count, mean, m2 = _merge(self.count[None], self.mean[None], self.m2[None])
        return Moments(float(count[0]), mean[0], m2[0])

    def instances(self) -> InstanceMoments:
        """The averages InstanceNorm keeps; samples of one value have no variance and count as 0."""
        if len(self) == 0:
            return InstanceMoments.empty(self.channels)
        within = self.m2 / np.maximum(self.count - 1, 1)[:, None]
        return InstanceMoments(float(len(self)), self.mean.mean(axis=0), within.mean(axis=0))

    def batches(self, order: npt.NDArray[np.intp], size: int) -> tuple[FloatArray, FloatArray]:
        """Mean and biased variance of the batches that `order` makes, `size` samples each.

        Args:
            order: indices of samples; those that do not fill a last batch are left out.
            size: samples in a batch.

        Returns:
            Two arrays of shape (number of batches, C).
        """
        number = len(order) // size
        chosen = self.take(order[: number * size])
        shape = (number, size, self.channels)
        counts = chosen.count.reshape(shape[:2])
        count, mean, m2 = _merge(counts, chosen.mean.reshape(shape), chosen.m2.reshape(shape))
        return mean, m2 / count[:, None]


@np.errstate(invalid="ignore", over="ignore")
def _merge(count: FloatArray, mean: FloatArray, m2: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Chan's formula along axis 1 of (groups, members[, C]) arrays."""
    total = count.sum(axis=1)
    merged = _weighted(count / total[:, None], mean)
    deviations = mean - merged[:, None]
    np.square(deviations, out=deviations)
    return total, merged, m2.sum(axis=1) + _weighted(count, deviations)


def _weighted(weights: FloatArray, values: FloatArray) -> FloatArray:
    """The sums over axis 1 of (groups, members, C), each member by its weight, without a copy of the values."""
    summed: FloatArray = np.matmul(weights[:, None], values)[:, 0]
    return summed


def _divide(m2: FloatArray, divisor: float) -> FloatArray:
    return m2 / divisor if divisor > 0 else np.full_like(m2, np.nan)
