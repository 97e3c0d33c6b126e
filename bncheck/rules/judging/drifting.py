"""Which layers drift, which of them by themselves, and whether a cause accounts for all of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bncheck.core import THRESHOLDS, FloatArray, discoveries, rms
from bncheck.evidence import CallDistances, Evidence, MeasuredLayer
from bncheck.rules.judging.harm import margin_of, severity_of
from bncheck.vocabulary import Severity

Channels = npt.NDArray[np.bool_]


def drifted_layers(evidence: Evidence, margin: float | None = None) -> list[MeasuredLayer]:
    """Give the layers whose gap exceeds the margin with confidence, chance discoveries among many layers kept out.

    Args:
        evidence: with every layer's gap.
        margin: that counts; that of the measured cost where none is given.
    """
    least, layers = margin_of(evidence.effect) if margin is None else margin, list(evidence.measured.values())
    stands = discoveries([layer.p_value for layer in layers])
    return [layer for layer, sure in zip(layers, stands, strict=True) if sure and layer.lower > least]


def origin_of(drifted: list[MeasuredLayer], margin: float = THRESHOLDS.margin) -> list[MeasuredLayer]:
    """Give the layers whose own statistics are off; all of them where the batch pass does not tell.

    Behind a large own gap small ones are no causes: under the usual margin they count beside their like only.
    """
    own = {layer.layer.name: layer.own_gap for layer in drifted if layer.own_gap is not None}
    return off_by_themselves(drifted, own, margin) or drifted


def off_by_themselves(drifted: list[MeasuredLayer], own: Mapping[str, float], margin: float) -> list[MeasuredLayer]:
    """Give those whose own gap, by name, counts beside the largest of them."""
    least = max(margin, min(THRESHOLDS.margin, THRESHOLDS.beside * max(own.values(), default=0.0)))
    return [layer for layer in drifted if own.get(layer.layer.name, 0.0) > least]


def inherits(layer: MeasuredLayer) -> bool:
    """Tell whether most of its gap is gone once the layers before it are right."""
    return layer.own_gap is None or layer.own_gap < layer.gap / 2


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


def unlike_calls(evidence: Evidence) -> dict[str, CallDistances]:
    """Give the layers that run several times in a forward, on inputs so unlike that one set of statistics costs.

    By name, and how far their calls lie apart.
    """
    return {
        name: apart
        for name, apart in evidence.closer.calls.items()
        if apart.lower > margin_of(apart.effect) and severity_of(apart.effect) != Severity.INFO
    }


def _within(gaps: FloatArray) -> bool:
    return gaps.size == 0 or rms(gaps) <= THRESHOLDS.margin
