"""Whether a model's layers store what its reference stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bncheck.core import FloatArray, NormLayer, compare, rms, spread
from bncheck.evidence import ComparedLayer
from bncheck.formats.folding.explanation import tolerance_for

Values = Callable[[NormLayer], tuple[FloatArray | None, FloatArray | None]]


def compare_layers(layers: Sequence[NormLayer], reference: Sequence[NormLayer]) -> tuple[ComparedLayer, ...]:
    """The layers that both have: of the same name, or else alike in what hardly ever comes twice."""
    return tuple(_compared(layer, other) for layer, other in _pairs(layers, reference))


def _pairs(layers: Sequence[NormLayer], reference: Sequence[NormLayer]) -> Iterator[tuple[NormLayer, NormLayer]]:
    named = {layer.name: layer for layer in reference}
    for layer in layers:
        if not layer.has_statistics or layer.missing:
            continue
        other = (
            named.get(layer.name)
            or _only_alike(layer.mean, layer.var, reference, lambda one: (one.mean, one.var))
            or _only_alike(layer.bias, layer.weight, reference, lambda one: (one.bias, one.weight))
        )
        if other is not None and other.channels == layer.channels and other.has_statistics:
            yield layer, other


def _only_alike(
    first: FloatArray | None, second: FloatArray | None, reference: Sequence[NormLayer], values: Values
) -> NormLayer | None:
    """The one layer of the reference with the same values; `None` where they are initial ones, or there are several."""
    if first is None or second is None or spread(first) == 0:
        return None
    alike = [layer for layer in reference if all(map(_close, values(layer), (first, second)))]
    return alike[0] if len(alike) == 1 else None


def _close(one: FloatArray | None, other: FloatArray) -> bool:
    return one is not None and one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=1e-6)


def _compared(layer: NormLayer, other: NormLayer) -> ComparedLayer:
    eps = next((one.eps for one in (other, layer) if one.eps is not None), 0.0)
    gap = compare(layer.mean, layer.var, other.mean, other.var, eps).gap  # type: ignore[arg-type]
    both_broken = ~np.isfinite(np.asarray(layer.var)) & ~np.isfinite(np.asarray(other.var))
    gap = np.where(np.isnan(gap), np.where(both_broken, 0.0, np.inf), gap)
    error = rms(gap)
    agrees = error <= max(tolerance_for(layer), tolerance_for(other))
    return ComparedLayer(layer.name, other.name, error, int(np.argmax(gap)), agrees, folded=False)
