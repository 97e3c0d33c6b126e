"""The gap between two sets of statistics: one number per channel, and its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """How far measured statistics lie from the stored ones, per channel (arrays of shape (C,)).

    With s = sqrt(stored variance + eps) and s_B = sqrt(measured variance + eps):

    Attributes:
        shift: d = (measured mean - stored mean) / s.
        scale: r = s_B / s. `shift` and `scale` are the d and r of Batch Renormalization before
            clipping (Ioffe 2017, section 3).
        gap: sqrt(d^2 + w (r - 1)^2) with w = var_B / (var_B + eps): exactly the RMS difference between
            the layer's output (before gamma and beta) normalized by the measured and by the stored
            statistics. w is 1 but for nearly dead channels, which eps keeps harmless.
        kl: Kullback-Leibler divergence of the normal distribution N(measured) from N(stored),
            (r^2 + d^2 - 1) / 2 - ln r, in nats.

    Values are NaN where stored variance + eps is not positive, or anything is NaN.
    """

    shift: FloatArray
    scale: FloatArray
    gap: FloatArray
    kl: FloatArray


def compare(
    measured_mean: npt.ArrayLike,
    measured_var: npt.ArrayLike,
    stored_mean: npt.ArrayLike,
    stored_var: npt.ArrayLike,
    eps: float,
) -> Gap:
    """Compare measured statistics with stored ones: all arrays broadcast, eps goes inside both roots.

    >>> gap = compare([3.0], [16.0], [0.0], [1.0], eps=0.0)
    >>> gap.shift.tolist(), gap.scale.tolist(), float(gap.gap[0].round(6))
    ([3.0], [4.0], 4.242641)
    """
    mean_b, var_b, mean, var = (
        np.asarray(value, dtype=np.float64) for value in (measured_mean, measured_var, stored_mean, stored_var)
    )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sigma = np.where(var + eps > 0, np.sqrt(var + eps), np.nan)
        sigma_b = np.sqrt(var_b + eps)
        shift = (mean_b - mean) / sigma
        scale = sigma_b / sigma
        weight = np.where(var_b > 0, var_b / (var_b + eps), var_b * 0.0)
        gap = np.sqrt(shift**2 + weight * (scale - 1) ** 2)
        kl = (scale**2 + shift**2 - 1) / 2 - np.log(scale)
    return Gap(shift, scale, gap, kl)


def rms(values: npt.ArrayLike) -> float:
    """Take the root mean square; NaN when any value is NaN, or there are none."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.sqrt(np.mean(array**2))) if array.size else float("nan")
