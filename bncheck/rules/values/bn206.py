"""BN206: means so many standard deviations from 0 that a float32 variance of a batch loses its digits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bncheck.core import BATCH_NORM, THRESHOLDS, FloatArray, NormLayer
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of
from bncheck.rules.judging.drifting import Channels, accounts_for_drift, own_statistics
from bncheck.rules.judging.harm import severity_of
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import SHOWN_CHANNELS, name_some
from bncheck.vocabulary import Severity

FLOAT32_UNIT = 2.0**-24


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark; graver only where cancelled digits are enough to explain the drift."""
    ratios = {
        layer.name: _mean_in_deviations(layer)
        for layer in evidence.with_statistics()
        if layer.kind == BATCH_NORM and not layer.missing
    }
    suspects = {
        name: ratio > THRESHOLDS.cancelling for name, ratio in ratios.items() if (ratio > THRESHOLDS.cancelling).any()
    }
    if not suspects:
        return
    layers = [layer for layer in evidence.layers if layer.name in suspects]
    largest = {name: float(ratios[name][channels].max()) for name, channels in suspects.items()}
    most = max(largest.values())
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
        severity=severity_of(evidence.effect) if explained else Severity.INFO,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The means of {name_some(layers)} lie up to {most:.3g} standard deviations from 0: where a variance is "
            f"taken as mean square less squared mean in float32, {_error_in_words(most * most * FLOAT32_UNIT)}."
        ),
        fix=(
            "Center the input (subtract its mean) or leave the bias out of the layer before; recalibrate in float64."
            if explained
            else "Nothing for inference. Center the input before training on, or recalibrate in float64."
        ),
        measure=worst("standard deviation", largest, limit=THRESHOLDS.cancelling),
        cost=cost_of(evidence.effect, evidence) if explained else None,
        evidence={
            "layers": [layer.name for layer in layers],
            "channel_indices_by_layer": {
                name: np.flatnonzero(where)[:SHOWN_CHANNELS].tolist() for name, where in suspects.items()
            },
            "largest_ratio": most,
            "relative_variance_error": most * most * FLOAT32_UNIT,
            "explains_the_drift": explained,
        },
    )


def _error_in_words(error: float) -> str:
    return f"it is off by up to {error:.0%}" if error < 1 else "no digit of it is certain"


def _by_cancellation(measured: MeasuredLayer) -> Channels:
    """Find channels whose means agree while the variances differ by no more than cancelled digits explain."""
    mean, var = measured.layer.statistics
    data_mean, data_var = own_statistics(measured)
    cancelled = np.abs(data_var - var) <= THRESHOLDS.cancelled_roundings * FLOAT32_UNIT * mean**2
    same_mean: Channels = np.abs(data_mean - mean) <= np.sqrt(data_var)
    return same_mean & cancelled


def _mean_in_deviations(layer: NormLayer) -> FloatArray:
    mean, var = layer.statistics
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = np.abs(mean) / np.sqrt(var + (THRESHOLDS.largest_eps if layer.eps is None else layer.eps))
    return np.where(np.isfinite(ratio), ratio, 0.0)
