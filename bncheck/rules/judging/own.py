"""What the batch pass says of a layer: its own statistics on the data, and whether a cause accounts for the drift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bncheck.core import THRESHOLDS, FloatArray, rms
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.rules.judging.drifting import drifted_layers, origin_of

Channels = npt.NDArray[np.bool_]


def own_statistics(measured: MeasuredLayer) -> tuple[FloatArray, FloatArray]:
    """Give mean and variance of the layer's input on the data, upstream errors removed where there was a batch pass."""
    gap, eps = measured.own, measured.layer.eps or 0.0
    if gap is None:
        return measured.mean, measured.var
    mean, var = measured.layer.statistics
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(var + eps)
        return mean + gap.shift * sigma, np.maximum((gap.scale * sigma) ** 2 - eps, 0.0)


def own_gaps(measured: MeasuredLayer) -> FloatArray:
    """Give the gap per channel, upstream errors removed where there was a batch pass."""
    return measured.inherited.gap if measured.own is None else measured.own.gap


def accounts_for_drift(evidence: Evidence, suspects: Mapping[str, Channels]) -> bool:
    """Tell whether these channels (by layer) are all that drifts: without them every layer is within the margin."""
    sources = origin_of(drifted_layers(evidence))
    return bool(sources) and all(
        layer.layer.name in suspects and _within(own_gaps(layer)[~suspects[layer.layer.name]]) for layer in sources
    )


def _within(gaps: FloatArray) -> bool:
    return gaps.size == 0 or rms(gaps) <= THRESHOLDS.margin
