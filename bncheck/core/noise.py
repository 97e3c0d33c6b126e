"""What sampling alone would show: the noise under every gap.

The unit is the sample, never the pixel: neighbouring positions are correlated, so a map of 64 values is
worth far fewer. The stored statistics are themselves an exponential average of finitely many batches
and carry noise of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import add

import numpy as np
import numpy.typing as npt

from bncheck.core.gap import compare
from bncheck.core.moments import InstanceMoments, Moments, SampleMoments
from bncheck.core.thresholds import THRESHOLDS

FloatArray = npt.NDArray[np.float64]
Summary = Moments | InstanceMoments

ASSUMED_TRAINING_BATCH, ASSUMED_MOMENTUM = THRESHOLDS.assumed_training_batch, THRESHOLDS.assumed_momentum
CONFIDENCE_Z, FEWEST_GROUPS = THRESHOLDS.confidence_z, THRESHOLDS.fewest_groups
"""The same numbers under the names by which formulas and other rooms know them."""


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """How the stored statistics were averaged, as far as it is known.

    Attributes:
        momentum: weight of the newest batch; `None` for a cumulative average.
        updates: batches seen, `None` where not counted.
        batch_size: samples in a training batch (an assumption where nobody says).
    """

    momentum: float | None = ASSUMED_MOMENTUM
    updates: int | None = None
    batch_size: float = ASSUMED_TRAINING_BATCH

    @property
    def effective_samples(self) -> float:
        """How many samples the average is worth: (2 - m) / m batches, at most those it has seen."""
        if self.momentum:
            batches = max((2 - self.momentum) / self.momentum, 1.0)
            if self.updates:
                batches = min(batches, float(self.updates))
        else:
            batches = float(self.updates or (2 - ASSUMED_MOMENTUM) / ASSUMED_MOMENTUM)
        return batches * self.batch_size


def noise_floor(
    samples: SampleMoments,
    stored_var: FloatArray,
    eps: float,
    average: MovingAverage,
    *,
    total: int | None = None,
    instance: bool = False,
) -> FloatArray:
    """Estimate the gap each channel would show if stored and measured statistics described the same data.

    The standard error of a difference is sd(one sample) x sqrt(1/n + 1/n_stored): the first term for
    the samples measured, the second for the moving average's own noise.

    Args:
        samples: per-sample moments of the layer's input.
        stored_var: shape (C,).
        eps: the layer's.
        average: how the stored statistics were made.
        total: samples behind the measured statistics, where the table holds only some of them.
        instance: the layer is an InstanceNorm, whose variance is the average of the samples' own.

    Returns:
        Shape (C,), in units of the gap; infinite below two samples.
    """
    if len(samples) < 2:
        return np.full(samples.channels, np.inf)
    shift, scale, weight = sample_says(samples, stored_var, eps, instance)
    share = 1 / (total or len(samples)) + 1 / average.effective_samples
    with np.errstate(invalid="ignore"):
        variance = shift.var(axis=0, ddof=1) + weight * scale.var(axis=0, ddof=1)
    return np.asarray(np.sqrt(variance * share))


@np.errstate(invalid="ignore", divide="ignore")
def sample_says(
    samples: SampleMoments, stored_var: FloatArray, eps: float, instance: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give what each sample says of d and (to first order) of r, up to what is the same for all; and the weight w.

    One sample's say on the variance is u = v_i + (m_i - m)^2; r is its root, so dr = du / (2 s_B s).

    Returns:
        Two arrays of shape (n, C), and one of shape (C,).
    """
    measured = _summary(samples, instance)
    var_b = measured.variance
    if instance:
        squares = samples.m2 / np.maximum(samples.count - 1, 1)[:, None]
    else:
        squares = samples.m2 / samples.count[:, None] + (samples.mean - measured.mean) ** 2
    stored = np.where(stored_var + eps > 0, stored_var + eps, np.nan)
    scale = np.where(var_b + eps > 0, squares / (2 * np.sqrt((var_b + eps) * stored)), squares * 0.0)
    weight = np.where(var_b > 0, var_b / (var_b + eps), var_b * 0.0)
    return samples.mean / np.sqrt(stored), scale, weight


def gap_lower_bound(
    samples: SampleMoments,
    stored_mean: FloatArray,
    stored_var: FloatArray,
    eps: float,
    noise: float,
    *,
    average: MovingAverage | None = None,
    instance: bool = False,
) -> float:
    """Bound from below, with 95 % confidence, a layer's gap (RMS over channels), the noise taken off.

    E[gap^2] is the true gap^2 plus the noise^2; the spread of gap^2 comes from a delete-a-group
    jackknife over `jackknife_groups` groups of samples (Efron & Tibshirani 1993, chapter 11), widened by the moving
    average's own share of the noise, which the samples cannot show.

    Args:
        samples: per-sample moments of the layer's input.
        stored_mean: shape (C,).
        stored_var: shape (C,).
        eps: the layer's.
        noise: RMS of `noise_floor` over the channels, at as many samples as there are in the table.
        average: how the stored statistics were made; without it they are taken as exact.
        instance: as for `noise_floor`.

    Returns:
        The bound, at least 0; 0 where there are too few samples to say, NaN where the gap is NaN.
    """
    groups = min(THRESHOLDS.jackknife_groups, len(samples))
    if groups < FEWEST_GROUPS:
        return 0.0
    parts = in_groups(samples, groups, instance)

    def squared_gap(total: Summary) -> float:
        return float(np.mean(compare(total.mean, total.variance, stored_mean, stored_var, eps).gap ** 2))

    full = squared_gap(reduce(add, parts))
    spread = math.sqrt(jackknife_variance(parts, squared_gap))
    if average is not None:
        spread *= math.sqrt(1 + len(samples) / average.effective_samples)
    bound = full - noise * noise - student_quantile(groups - 1) * spread
    return bound if math.isnan(bound) else math.sqrt(max(0.0, bound))


def _summary(samples: SampleMoments, instance: bool) -> Summary:
    return samples.instances() if instance else samples.pooled()


def in_groups(samples: SampleMoments, groups: int, instance: bool) -> list[Summary]:
    """Put every so many-th sample together; for InstanceNorm as instances."""
    order = np.arange(len(samples))
    return [_summary(samples.take(order[group::groups]), instance) for group in range(groups)]


def jackknife_variance(parts: Sequence[Summary], number: Callable[[Summary], float]) -> float:
    """Give the variance of a number of all parts by leaving out each in turn (Efron & Tibshirani 1993, chapter 11)."""
    left = [number(others) for others in _all_but_each(parts)]
    return (len(parts) - 1) / len(parts) * float(np.sum((np.array(left) - np.mean(left)) ** 2))


def _all_but_each(parts: Sequence[Summary]) -> list[Summary]:
    """Put together all parts but one, for each in turn: what stands before it, and what stands after it."""
    before, after = (list(accumulate(some, add)) for some in (parts, parts[::-1]))
    return [after[-2], *map(add, before[:-2], after[-3::-1]), before[-2]]


def smallest_detectable_gap(noise: float, samples: int) -> float:
    """Give the true gap that stands out of `noise` with 95 % confidence even if all channels move together.

    Args:
        noise: of a typical channel; itself estimated, hence Student's quantile rather than the normal one.
        samples: behind `noise`; infinite below two.
    """
    if samples < 2:
        return math.inf
    return student_quantile(samples - 1) * noise


def student_quantile(freedom: float, z: float = CONFIDENCE_Z) -> float:
    """Give the quantile of Student's t, by default the one-sided 95 % one, from the normal one in powers of 1/freedom.

    Source: Cornish & Fisher 1938 (Abramowitz & Stegun 26.7.5), three terms: within 1 % from 3 degrees of freedom.
    """
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def samples_needed(noise: float, samples: int, stored_samples: float, margin: float) -> int | None:
    """Tell how many samples bring the smallest detectable gap down to `margin`.

    Only the first term of the noise, sd x sqrt(1/n + 1/n_stored), falls with the samples measured.

    Args:
        noise: at `samples` samples.
        samples: behind `noise`.
        stored_samples: what the moving average is worth, `MovingAverage.effective_samples`.
        margin: the gap that is to be seen.

    Returns:
        `None` where one sample tells nothing, or the moving average's own noise is too large already.
    """
    if samples < 2 or not noise > 0:
        return None
    ratio = margin / (CONFIDENCE_Z * noise)
    allowed = ratio * ratio * (1 / samples + 1 / stored_samples)
    remaining = allowed - 1 / stored_samples
    return max(math.ceil(1 / remaining), samples + 1) if remaining > 0 else None
