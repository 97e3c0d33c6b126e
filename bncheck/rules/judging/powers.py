"""Statistics in which another quantity stands where the variance belongs: which power of it the data show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, compare, rms
from bncheck.evidence import MeasuredLayer
from bncheck.rules.judging.drifting import own_statistics


@dataclass(frozen=True, slots=True)
class Power:
    """What stands in the place of a variance v, and the power that makes a variance of it again."""

    stored: str
    exponent: float
    remedy: str


POWERS = (
    Power("the standard deviation", 2.0, "running_var ** 2"),
    Power("the square of the variance", 0.5, "running_var ** 0.5"),
    Power("1 / standard deviation", -2.0, "running_var ** -2"),
    Power("1 / variance", -1.0, "1 / running_var"),
)
"""What conversions mix up: other frameworks store, or pass to their kernels, standard deviations and inverses."""


@dataclass(frozen=True, slots=True)
class PowerFit:
    """How well one power of the stored variances describes what all layers see.

    Attributes:
        power: which.
        explained: share of the squared own gaps that is gone when the variances are raised to it.
        exponent: of the stored variances in the measured ones, by least squares of the logarithms over all channels.
        before, after: RMS own gap of all layers, as stored and so.
        layers: those that it brings nearer, of all.
    """

    power: Power
    explained: float
    exponent: float
    before: float
    after: float
    layers: tuple[str, ...]


def fit_power(layers: Sequence[MeasuredLayer]) -> PowerFit | None:
    """Find the power that describes every layer where what is stored does not; `None` where none does.

    It has no free number, so it must leave far less than the best single factor on all variances, which has one: a
    model whose variances are all alike shows nothing. And the exponent that fits the channels best must be near it.
    """
    usable = [layer for layer in layers if layer.own_gap is not None and _is_positive(layer)]
    if len(usable) < len(layers) or sum(int(layer.visible.sum()) for layer in usable) < THRESHOLDS.lag_channels:
        return None
    before = [_left(layer, layer.layer.statistics[1]) for layer in usable]
    factor = math.exp(float(np.mean([np.mean(_log_ratio(layer)) for layer in usable])))
    by_factor = _squares(_left(layer, factor * layer.layer.statistics[1]) for layer in usable)
    found = [(one, [_left(layer, layer.layer.statistics[1] ** one.exponent) for layer in usable]) for one in POWERS]
    power, after = min(found, key=lambda pair: _squares(pair[1]))
    explained = 1 - _squares(after) / _squares(before) if _squares(before) > 0 else 0.0
    fits = all(left <= max(THRESHOLDS.margin, was) for was, left in zip(before, after, strict=True))
    beyond_noise = by_factor - _squares(rms(layer.noise[layer.visible]) for layer in usable)
    if not fits or explained < THRESHOLDS.power_explained or _squares(after) > THRESHOLDS.power_left * beyond_noise:
        return None
    exponent = _exponent(usable)
    if abs(exponent - power.exponent) > THRESHOLDS.power_near * abs(power.exponent):
        return None  # variances of another input lie nearer to some power of the stored ones than to these, by accident
    off = [layer.layer.name for layer, was in zip(usable, before, strict=True) if was > THRESHOLDS.margin]
    return PowerFit(power, explained, exponent, rms(before), rms(after), tuple(off))


def _is_positive(layer: MeasuredLayer) -> bool:
    own_mean, own_var = own_statistics(layer)
    chosen, var = layer.visible, layer.layer.statistics[1]
    return bool(np.all(var[chosen] > 0) and np.isfinite(own_mean[chosen]).all() and np.isfinite(own_var[chosen]).all())


def _left(layer: MeasuredLayer, var: FloatArray) -> float:
    """Give the RMS gap of what the layer sees from its own means and these variances."""
    own_mean, own_var = own_statistics(layer)
    gap = compare(own_mean, own_var, layer.layer.statistics[0], var, layer.layer.eps or 0.0).gap
    return rms(gap[layer.visible])


def _log_ratio(layer: MeasuredLayer) -> FloatArray:
    chosen, eps = layer.visible, layer.layer.eps or THRESHOLDS.smallest_eps
    own_var, var = own_statistics(layer)[1][chosen], layer.layer.statistics[1][chosen]
    return np.asarray(np.log(own_var + eps) - np.log(var + eps))


def _exponent(layers: Sequence[MeasuredLayer]) -> float:
    """Give the slope of the logarithm of the measured variances over that of the stored ones."""
    stored = np.concatenate([np.log(layer.layer.statistics[1][layer.visible]) for layer in layers])
    seen = stored + np.concatenate([_log_ratio(layer) for layer in layers])
    spread = stored - stored.mean()
    return float((spread * (seen - seen.mean())).sum() / (spread**2).sum()) if spread.any() else 0.0


def _squares(values: Iterable[float]) -> float:
    return float(sum(value**2 for value in values))
