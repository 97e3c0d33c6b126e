"""What the numbers of a layer's wrong statistics show of how they came about."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer, compare, rms
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.rules.judging.drifting import own_gaps, own_statistics


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """A layer's stored statistics beside those of the data, over its visible channels."""

    mean: FloatArray
    var: FloatArray
    own_mean: FloatArray
    own_var: FloatArray
    eps: float

    @classmethod
    def of(cls, layer: MeasuredLayer) -> _Fit:
        """Read them off."""
        chosen = layer.visible
        own_mean, own_var = own_statistics(layer)
        mean, var = (np.asarray(one)[chosen] for one in layer.layer.statistics)
        return cls(mean, var, own_mean[chosen], own_var[chosen], layer.layer.eps or 0.0)

    def gap_of(self, mean: FloatArray, var: FloatArray) -> float:
        """How far the data lie from those statistics; infinite where that is no number."""
        gap = rms(compare(self.own_mean, self.own_var, mean, np.maximum(var, 0.0), self.eps).gap)
        return gap if math.isfinite(gap) else math.inf

    @property
    def gap(self) -> float:
        """How far they lie from what is stored."""
        return self.gap_of(self.mean, self.var)

    def fits(self, mean: FloatArray, var: FloatArray) -> bool:
        """Whether those statistics leave little of the gap, and none that would be wrong itself.

        Half of what is far off is far off still: the values of any layer, sorted, come as near.
        """
        return self.gap_of(mean, var) < min(THRESHOLDS.pattern_left * self.gap, THRESHOLDS.outlier_gap)


def pattern_of(name: str, evidence: Evidence) -> str | None:
    """Tell in a clause what its statistics look like; `None` where they show nothing."""
    layer = evidence.measured[name]
    fit = _Fit.of(layer)
    if fit.own_var.size < 2 or not bool((fit.own_var > 0).all()) or not bool((fit.var > 0).all()):
        return _some_channels(layer)
    other = _those_of_another(name, fit, evidence)
    return (
        _copied(layer.layer, evidence)
        or _factor(fit)
        or _power(fit)
        or (None if other is None else f"the statistics stored in {other} fit it better")
        or _permuted(fit)
        or _some_channels(layer)
    )


def _copied(layer: NormLayer, evidence: Evidence) -> str | None:
    """Those of another layer, to the last digit; means that are all the same are nobody's."""
    if not np.ptp(layer.statistics[0]) > 0:
        return None
    for name, other in evidence.measured.items():
        pairs = zip(layer.statistics, other.layer.statistics, strict=True)
        if name != layer.name and all(np.array_equal(mine, theirs) for mine, theirs in pairs):
            return f"they are those stored in {name} too, to the last digit"
    return None


def _factor(fit: _Fit) -> str | None:
    """One factor on all variances."""
    factor = math.exp(float(np.median(np.log(fit.var / fit.own_var))))
    if max(factor, 1 / factor) < THRESHOLDS.pattern_factor or not fit.fits(fit.mean, fit.var / factor):
        return None
    size = f"{factor:.3g} times" if factor >= 1 else f"1/{1 / factor:.3g} of"
    return f"all its variances are about {size} those of the data"


def _power(fit: _Fit) -> str | None:
    """The standard deviation stored where the variance belongs, or the other way round."""
    if fit.fits(fit.mean, fit.var**2):
        return "standard deviations are stored where variances belong"
    if fit.fits(fit.mean, np.sqrt(fit.var)):
        return "squared variances are stored where variances belong"
    return None


def _those_of_another(name: str, fit: _Fit, evidence: Evidence) -> str | None:
    """The layer of as many channels whose stored statistics are those that this one sees."""
    for other, layer in evidence.measured.items():
        if other == name or layer.layer.channels != len(fit.mean) or not layer.visible.all():
            continue
        mean, var = (np.asarray(one) for one in layer.layer.statistics)
        if fit.fits(mean, var):
            return other
    return None


def _permuted(fit: _Fit) -> str | None:
    """The right values in another order of the channels."""
    order, wanted = np.argsort(fit.mean), np.argsort(fit.own_mean)
    sorted_back = np.empty_like(order)
    sorted_back[wanted] = order
    is_other = not np.array_equal(sorted_back, np.arange(len(order)))
    if is_other and fit.fits(fit.mean[sorted_back], fit.var[sorted_back]):
        return "they fit in another order of the channels"
    return None


def _some_channels(layer: MeasuredLayer) -> str | None:
    """Some of the channels wrong, the others right."""
    gaps = own_gaps(layer)[layer.visible]
    wrong, right = int((gaps > THRESHOLDS.margin).sum()), int((gaps <= THRESHOLDS.near_margin).sum())
    if wrong and right and wrong + right >= (1 - THRESHOLDS.pattern_between) * len(gaps) and right >= len(gaps) / 4:
        return f"{wrong} of its {len(gaps)} channels are off, the others fit"
    return None
