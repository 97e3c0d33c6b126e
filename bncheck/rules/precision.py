"""What rounding did to the statistics: stored in half precision (BN205), taken in float32 at a large mean (BN206)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bncheck.core import ASSUMED_MOMENTUM
from bncheck.core.layers import BATCH_NORM, FloatArray, NormLayer
from bncheck.core.thresholds import CANCELLING, LARGEST_EPS
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.results.finding import Finding
from bncheck.results.report import INFO
from bncheck.rules.absent import name_some
from bncheck.rules.cost import at_most_warning
from bncheck.rules.own import Channels, accounts_for_drift, own_gaps, own_statistics

UNITS = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 2.0**-134)}
"""By dtype: the largest relative rounding error of its numbers, and the absolute one next to 0."""
FLOAT32_UNIT = 2.0**-24
FEW = 8.0
"""Roundings of a mean of squares that may have added up."""
SHOWN_CHANNELS = 8


def half_precision(evidence: Evidence) -> Iterator[Finding]:
    """BN205: statistics stored in half precision; graver only where rounding is enough to explain the drift."""
    layers = [layer for layer in evidence.with_statistics() if layer.dtype in UNITS and not layer.missing]
    if not layers:
        return
    rounding = {layer.name: _rounding_gap(layer) for layer in layers}
    suspects = {
        layer.name: own_gaps(evidence.measured[layer.name])
        <= rounding[layer.name] / (layer.momentum or ASSUMED_MOMENTUM)
        for layer in layers
        if layer.name in evidence.measured
    }
    explained = accounts_for_drift(evidence, suspects)
    largest = max(float(np.nanmax(gaps, initial=0.0)) for gaps in rounding.values())
    dtypes = sorted({layer.dtype for layer in layers if layer.dtype is not None})
    yield Finding(
        code="BN205",
        severity=at_most_warning(evidence.effect) if explained else INFO,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"{len(layers)} {'layer stores its' if len(layers) == 1 else 'layers store their'} statistics in "
            f"{' and '.join(dtypes)}: rounding alone moves outputs by up to {largest:.2g} standard deviations"
            + (", and updates too small for it were lost, which is enough for the drift seen." if explained else ".")
        ),
        fix=(
            "Recalibrate the statistics with the normalization layers in float32."
            if explained
            else "Nothing for inference. Before training on or recalibrating, put the normalization layers in float32."
        ),
        evidence={
            "layers": [layer.name for layer in layers],
            "dtypes": dtypes,
            "largest_rounding_gap": largest,
            "explains_the_drift": explained,
        },
    )


def cancellation(evidence: Evidence) -> Iterator[Finding]:
    """BN206: means so many standard deviations from 0 that a float32 variance of a batch loses its digits."""
    ratios = {
        layer.name: _mean_in_deviations(layer)
        for layer in evidence.with_statistics()
        if layer.kind == BATCH_NORM and not layer.missing
    }
    suspects = {name: ratio > CANCELLING for name, ratio in ratios.items() if (ratio > CANCELLING).any()}
    if not suspects:
        return
    layers = [layer for layer in evidence.layers if layer.name in suspects]
    worst = max(float(ratios[name][channels].max()) for name, channels in suspects.items())
    explained = accounts_for_drift(
        evidence,
        {
            name: channels & _by_cancellation(evidence.measured[name])
            for name, channels in suspects.items()
            if name in evidence.measured
        },
    )
    yield Finding(
        code="BN206",
        severity=at_most_warning(evidence.effect) if explained else INFO,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The means of {name_some(layers)} lie up to {worst:.3g} standard deviations from 0: where a variance is "
            f"taken as mean square less squared mean in float32, {_error_in_words(worst**2 * FLOAT32_UNIT)}."
        ),
        fix=(
            "Center the input (subtract its mean) or leave the bias out of the layer before; recalibrate in float64."
            if explained
            else "Nothing for inference. Center the input before training on, or recalibrate in float64."
        ),
        evidence={
            "layers": [layer.name for layer in layers],
            "channels": {name: np.flatnonzero(where)[:SHOWN_CHANNELS].tolist() for name, where in suspects.items()},
            "largest_ratio": worst,
            "relative_variance_error": worst**2 * FLOAT32_UNIT,
            "explains_the_drift": explained,
        },
    )


def _error_in_words(error: float) -> str:
    return f"it is off by up to {error:.0%}" if error < 1 else "no digit of it is certain"


def _rounding_gap(layer: NormLayer) -> FloatArray:
    """The gap that storing mean and variance in the layer's dtype can have made, per channel."""
    relative, absolute = UNITS[layer.dtype or ""]
    mean, var = layer.statistics
    spread = var + (LARGEST_EPS if layer.eps is None else layer.eps)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.maximum(np.abs(mean) * relative, absolute) / np.sqrt(spread)
        scale = np.maximum(var * relative, absolute) / (2 * spread)
        gaps: FloatArray = np.hypot(shift, scale)
    return np.where(np.isfinite(gaps), gaps, 0.0)


def _by_cancellation(measured: MeasuredLayer) -> Channels:
    """Channels whose means agree while the variances differ by no more than cancelled digits explain."""
    mean, var = measured.layer.statistics
    data_mean, data_var = own_statistics(measured)
    cancelled = np.abs(data_var - var) <= FEW * FLOAT32_UNIT * mean**2
    same_mean: Channels = np.abs(data_mean - mean) <= np.sqrt(data_var)
    return same_mean & cancelled


def _mean_in_deviations(layer: NormLayer) -> FloatArray:
    mean, var = layer.statistics
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = np.abs(mean) / np.sqrt(var + (LARGEST_EPS if layer.eps is None else layer.eps))
    return np.where(np.isfinite(ratio), ratio, 0.0)
