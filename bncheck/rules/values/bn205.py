"""BN205: statistics stored in half precision, which rounds them and loses small updates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bncheck.core import PRECISIONS, THRESHOLDS, FloatArray, NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of
from bncheck.rules.judging.drifting import accounts_for_drift, own_gaps
from bncheck.rules.judging.harm import severity_of
from bncheck.rules.judging.measures import worst
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark; graver only where rounding is enough to explain the drift."""
    layers = [layer for layer in evidence.with_statistics() if layer.dtype in PRECISIONS and not layer.missing]
    if not layers:
        return
    rounding = {layer.name: _rounding_gap(layer) for layer in layers}
    suspects = {
        layer.name: own_gaps(evidence.measured[layer.name])
        <= rounding[layer.name] / (layer.momentum or THRESHOLDS.assumed_momentum)
        for layer in layers
        if layer.name in evidence.measured
    }
    explained = accounts_for_drift(evidence, suspects)
    worst_gaps = {name: float(np.nanmax(gaps, initial=0.0)) for name, gaps in rounding.items()}
    largest = max(worst_gaps.values())
    dtypes = sorted({layer.dtype for layer in layers if layer.dtype is not None})
    yield Finding(
        code="BN205",
        severity=severity_of(evidence.effect) if explained else Severity.INFO,
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
        measure=worst("standard deviation", worst_gaps),
        cost=cost_of(evidence.effect, evidence) if explained else None,
        evidence={
            "layers": [layer.name for layer in layers],
            "dtypes": dtypes,
            "largest_rounding_gap": largest,
            "explains_the_drift": explained,
        },
    )


def _rounding_gap(layer: NormLayer) -> FloatArray:
    """Give the gap that storing mean and variance in the layer's dtype can have made, per channel."""
    precision = PRECISIONS[layer.dtype or ""]
    relative, absolute = precision.rounding, precision.zero
    mean, var = layer.statistics
    spread = var + (THRESHOLDS.largest_eps if layer.eps is None else layer.eps)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.maximum(np.abs(mean) * relative, absolute) / np.sqrt(spread)
        scale = np.maximum(var * relative, absolute) / (2 * spread)
        gaps: FloatArray = np.hypot(shift, scale)
    return np.where(np.isfinite(gaps), gaps, 0.0)
