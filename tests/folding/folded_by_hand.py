"""Layers folded in plain numpy, and the reference they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bncheck.core.layers import BATCH_NORM, PRECISION, NormLayer
from bncheck.formats.folding import AffineOperation, Reference, Source

Array = np.ndarray


def norm(channels: int, seed: int = 0, name: str = "bn", **changes: Any) -> NormLayer:
    """A layer of random statistics, some of its gammas negative."""
    generator = np.random.default_rng(seed)
    gamma = generator.uniform(0.5, 1.5, channels)
    gamma[::3] *= -1
    values: dict[str, Any] = {
        "mean": generator.normal(0, 0.5, channels),
        "var": generator.uniform(0.3, 3.0, channels),
        "eps": 1e-5,
        "weight": gamma,
        "bias": generator.normal(0, 0.5, channels),
        "dtype": "float32",
    }
    return NormLayer(name, BATCH_NORM, channels, **(values | changes))


def gain_of(layer: NormLayer) -> Array:
    """What folding multiplies every output channel by."""
    gamma = 1.0 if layer.weight is None else layer.weight
    return gamma / np.sqrt(layer.var + layer.eps)


@dataclass(frozen=True)
class Convolution:
    """An operation as it was trained.

    `weight` is (O, I, *kernel), or (I, O / groups, *kernel) where transposed.
    """

    weight: Array
    bias: Array | None = None
    transposed: bool = False
    groups: int = 1
    name: str = "conv"

    def folded(self, layer: NormLayer, dtype: str = "float32") -> AffineOperation:
        """What an export makes of it and `layer`, rounded to `dtype`."""
        gain = gain_of(layer)
        weight = self._scaled(gain).astype(dtype)
        bias = (0.0 if self.bias is None else self.bias) - layer.mean
        offset = (bias * gain + (0.0 if layer.bias is None else layer.bias)).astype(dtype).astype(np.float64)
        return self._operation(f"{self.name}_out", weight, offset, dtype)

    def plain(self) -> AffineOperation:
        """As it is where nothing follows it."""
        return self._operation(f"{self.name}_out", self.weight.astype(np.float32), self.bias, "float32")

    def source(self) -> Source:
        return Source(f"{self.name}.weight", self.weight.astype(np.float32), bias=self.bias)

    def _operation(self, key: str, weight: Array, bias: Array | None, dtype: str) -> AffineOperation:
        return AffineOperation(key, f"onnx::{key}", weight, bias, self.transposed, self.groups, PRECISION[dtype])

    def _scaled(self, gain: Array) -> Array:
        """Every output channel, wherever its weights stand, times its gain; written without the code under test."""
        scaled = self.weight.astype(np.float64).copy()
        if not self.transposed:
            for channel, factor in enumerate(gain):
                scaled[channel] *= factor
            return scaled
        inputs, outputs = len(scaled) // self.groups, scaled.shape[1]
        for channel, factor in enumerate(gain):
            group, within = divmod(channel, outputs)
            scaled[group * inputs : (group + 1) * inputs, within] *= factor
        return scaled


def convolution(*shape: int, seed: int = 0, name: str = "conv", bias: bool = False, **how: Any) -> Convolution:
    generator = np.random.default_rng([seed, *shape])
    weight = generator.normal(0, 0.3, shape).astype(np.float32)
    made = Convolution(weight, None, name=name, **how)
    channels = made.plain().channels
    return replace(made, bias=generator.normal(0, 0.3, channels)) if bias else made


def reference(*pairs: tuple[Convolution, NormLayer]) -> Reference:
    """Convolutions and the layers they feed, in the order of their declaration."""
    positions: dict[str, int] = {}
    for convolved, layer in pairs:
        positions[f"{convolved.name}.weight"] = len(positions)
        positions[layer.name] = len(positions)
    sources = tuple(convolved.source() for convolved, _ in pairs)
    return Reference("net.pt", tuple(layer for _, layer in pairs), sources, positions)
