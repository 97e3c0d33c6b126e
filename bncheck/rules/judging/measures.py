"""How bad a finding is, in its rule's own number: layers counted, a sum over layers, or the worst of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from bncheck.core import rms
from bncheck.evidence import MeasuredLayer
from bncheck.results import Measure


def layers_counted(names: Iterable[str]) -> Measure:
    """Measure by how many layers there are, each of them one."""
    return total("layer", dict.fromkeys(names, 1))


def total(unit: str, layers: Mapping[str, float]) -> Measure:
    """Measure by the sum over the layers, of what is counted and so exact."""
    return Measure(unit, sum(layers.values()), dict(layers))


def worst(unit: str, layers: Mapping[str, float], *, noise: float = 0.0, limit: float | None = None) -> Measure:
    """Measure by the layer where it is largest; what is not finite cannot be told, and then nor can the whole."""
    finite = {name: float(value) for name, value in layers.items() if math.isfinite(value)}
    value = max(finite.values()) if finite and len(finite) == len(layers) else None
    return Measure(unit, value, finite, noise=noise, limit=limit)


def single(unit: str, value: float, *, noise: float = 0.0, limit: float | None = None) -> Measure:
    """Measure by one number for all layers, or for the model; `None` where it is not finite."""
    return Measure(unit, float(value) if math.isfinite(value) else None, noise=_finite(noise), limit=limit)


def noise_of(layers: Iterable[MeasuredLayer]) -> float:
    """Give the largest noise under the gaps of these layers: what sampling alone would show."""
    return max((_finite(rms(layer.noise[layer.visible])) for layer in layers), default=0.0)


def _finite(noise: float) -> float:
    return float(noise) if math.isfinite(noise) else 0.0
