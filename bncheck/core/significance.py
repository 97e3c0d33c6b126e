"""Is a gap more than sampling shows: one p-value a layer, and how many of them may be believed at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bncheck.core.moments import SampleMoments
from bncheck.core.noise import FloatArray, sample_says
from bncheck.core.thresholds import THRESHOLDS

MOST_SAMPLES = 256
"""As many show how channels move together; more would only cost time."""


def gap_p_value(
    samples: SampleMoments, stored_var: FloatArray, eps: float, gap: float, noise: float, *, instance: bool = False
) -> float:
    """Give the probability that sampling alone shows a gap (RMS over channels) as large as this in a layer that fits.

    Without a gap, gap^2 is a sum of squares of normal values, one for the mean and one for the scale of each channel.
    Channels move together, so it has the mean noise^2 and far fewer degrees of freedom than it has terms: as many
    as a chi-square of the same mean and variance has, tr(S)^2 / tr(S^2) for the terms' covariance S.

    Source: Satterthwaite 1946 for the degrees of freedom; Wilson & Hilferty 1931 for the tail of the chi-square.

    Args:
        samples: per-sample moments of the layer's input, shape (n, C).
        stored_var: shape (C,).
        eps: the layer's.
        gap: RMS over the channels.
        noise: RMS of `noise_floor` over the channels.
        instance: as for `noise_floor`.

    Returns:
        Between 0 and 1; NaN where gap or noise is not finite, or there are fewer than three samples.
    """
    if len(samples) < 3 or not (math.isfinite(gap) and math.isfinite(noise)):
        return math.nan
    if noise == 0:
        return 0.0 if gap > 0 else 1.0
    freedom = _degrees_of_freedom(samples, stored_var, eps, instance)
    spread = 2 / (9 * freedom)
    z = ((gap / noise) ** (2 / 3) - (1 - spread)) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2)) / 2


def _degrees_of_freedom(samples: SampleMoments, stored_var: FloatArray, eps: float, instance: bool) -> float:
    """Give tr(S)^2 / tr(S^2), at least 1; the second trace freed of what the covariance's own sampling adds."""
    few = samples.take(np.linspace(0, len(samples) - 1, min(len(samples), MOST_SAMPLES)).astype(np.intp))
    shift, scale, weight = sample_says(few, stored_var, eps, instance)
    terms = np.hstack([shift, np.sqrt(weight) * scale])
    terms = terms - terms.mean(axis=0)
    number = len(few) - 1
    products = (terms @ terms.T if len(terms) < terms.shape[1] else terms.T @ terms) / number
    trace, squares = float(np.trace(products)), float((products**2).sum())
    squares = (squares - trace * trace / number) * number**2 / ((number - 1) * (number + 2))
    most = float(terms.shape[1])
    return min(max(trace * trace / squares, 1.0), most) if squares > 0 else most


def discoveries(p_values: Sequence[float], rate: float = THRESHOLDS.false_discoveries) -> list[bool]:
    """Tell which of many tests stand, so that at most a share `rate` of those that do is chance in the long run.

    Source: Benjamini & Hochberg 1995. NaN never stands.

    >>> discoveries([0.001, 0.04, 0.6, 0.02])
    [True, False, False, True]
    """
    values = np.asarray(p_values, dtype=np.float64)
    ranked = np.sort(values)  # NaN last
    passing = np.flatnonzero(ranked <= rate * np.arange(1, len(values) + 1) / max(len(values), 1))
    return [] if not len(values) else (values <= (ranked[passing[-1]] if len(passing) else -1.0)).tolist()
