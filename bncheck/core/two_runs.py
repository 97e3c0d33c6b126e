"""How far what a layer sees has moved between two runs, and how sure that is, by the samples of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from bncheck.core.gap import Gap, compare, rms
from bncheck.core.moments import FloatArray, SampleMoments
from bncheck.core.noise import Summary, in_groups, jackknife_variance, sample_says, student_quantile
from bncheck.core.sliced import family_z
from bncheck.core.thresholds import THRESHOLDS


@dataclass(frozen=True, slots=True, eq=False)
class LayerSeen:
    """What a layer was fed in one run.

    Attributes:
        mean, var: of all samples, (C,).
        rows: per-sample moments, of as many samples as were kept.
        samples: behind `mean` and `var`.
    """

    mean: FloatArray
    var: FloatArray
    rows: SampleMoments
    samples: int


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """How far a layer's input has moved since another run.

    Attributes:
        gap: of this run's statistics from those of the other, in the other's standard deviations.
        noise: per channel, what sampling alone would show in the two, (C,); infinite below two samples.
        lower: lower bound of the gap (RMS over channels), noise taken off, with 95 % confidence for all layers.
    """

    gap: Gap
    noise: FloatArray
    lower: float


@np.errstate(invalid="ignore", over="ignore", divide="ignore")
def moved(now: LayerSeen, then: LayerSeen, eps: float, *, layers: int, instance: bool = False) -> Moved:
    """Compare a layer's input of one run with that of another.

    The noise is that of a difference, sqrt(s_now^2 / n_now + s_then^2 / n_then), the sample being the unit; the bound's
    spread comes from a delete-a-group jackknife over the samples of either run.

    Args:
        now: this run's.
        then: the other's.
        eps: the layer's.
        layers: how many are compared.
        instance: the layer is an InstanceNorm.
    """
    gap = compare(now.mean, now.var, then.mean, then.var, eps)
    noise = _noise(now, then, eps, instance, now.samples, then.samples)
    groups = min(THRESHOLDS.jackknife_groups, len(now.rows), len(then.rows))
    if groups < THRESHOLDS.fewest_groups:
        return Moved(gap, noise, 0.0)
    parts = [in_groups(side.rows, groups, instance) for side in (now, then)]
    whole = [reduce(add, each) for each in parts]
    full = _squared(whole[0], whole[1], eps)
    variance = jackknife_variance(parts[0], lambda one: _squared(one, whole[1], eps))
    variance += jackknife_variance(parts[1], lambda one: _squared(whole[0], one, eps))
    of_rows = rms(_noise(now, then, eps, instance, len(now.rows), len(then.rows)))
    bound = full - of_rows**2 - student_quantile(groups - 1, family_z(layers)) * math.sqrt(variance)
    return Moved(gap, noise, bound if math.isnan(bound) else math.sqrt(max(bound, 0.0)))


def _noise(now: LayerSeen, then: LayerSeen, eps: float, instance: bool, first: int, second: int) -> FloatArray:
    if min(len(now.rows), len(then.rows)) < 2:
        return np.full_like(now.mean, np.inf)
    total = np.zeros_like(now.mean)
    for side, samples in ((now, first), (then, second)):
        shift, scale, weight = sample_says(side.rows, then.var, eps, instance)
        total = total + (shift.var(axis=0, ddof=1) + weight * scale.var(axis=0, ddof=1)) / samples
    return np.sqrt(total)


def _squared(now: Summary, then: Summary, eps: float) -> float:
    return float(np.mean(compare(now.mean, now.variance, then.mean, then.variance, eps).gap ** 2))
