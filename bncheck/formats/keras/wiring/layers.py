"""Keras' layers, by what they do to the moments of channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bncheck.formats.keras.layers import BATCH_NORMS
from bncheck.formats.wiring.drawing import Drawing
from bncheck.formats.wiring.steps import Activated, Averaged, Joined, Normalized, Padded, Weighted
from bncheck.tensors import torch
from bncheck.vocabulary import Activation, Unpredicted

_FUNCTIONS = {
    "relu": Activation.RELU,
    "relu6": Activation.RELU6,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "sigmoid": Activation.SIGMOID,
    "tanh": Activation.TANH,
    "gelu": Activation.GELU,
    "elu": Activation.ELU,
    "selu": Activation.SELU,
    "softplus": Activation.SOFTPLUS,
    "mish": Activation.MISH,
    "linear": Activation.LINEAR,
}
_OF_KERAS_3 = {
    "hard_sigmoid": Activation.HARD_SIGMOID,
    "hard_silu": Activation.HARD_SWISH,
    "hard_swish": Activation.HARD_SWISH,
}
"""What Keras 2 computes otherwise."""
_OPERATIONS = {
    **{name.title().replace("_", ""): function for name, function in (_FUNCTIONS | _OF_KERAS_3).items()},
    "ELU": Activation.ELU,
}
_SAME = {
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "GaussianNoise"),
    *("AlphaDropout", "ActivityRegularization", "Identity", "Cropping1D", "Cropping2D", "Cropping3D"),
}
_AVERAGING = ("AveragePooling", "GlobalAveragePooling", "UpSampling")
_LARGEST = ("MaxPooling", "MaxPool", "GlobalMax")
_LEAKY = 0.3
"""Keras' own slope of LeakyReLU, for configurations that leave it out."""
_NO_EDGE = "valid"


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """One call of a layer.

    Attributes:
        kind: its class.
        name: under which its tensors stand.
        settings: its constructor's.
        sources: places of the values that it is given.
        tensors: of the model, by name.
        is_own: its class is one of Keras' own.
        arguments: of the call, as the configuration has them.
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    sources: tuple[int, ...]
    tensors: Mapping[str, torch.Tensor]
    is_own: bool
    arguments: Any = None

    @property
    def source(self) -> int:
        """The first of these places."""
        return self.sources[0]

    @property
    def is_channels_first(self) -> bool:
        """Whether channels are the second axis, and not the last."""
        return self.settings.get("data_format") == "channels_first"

    def tensor(self, leaf: str) -> torch.Tensor | None:
        """One of its tensors, in a type that is computed with."""
        found = self.tensors.get(f"{self.name}.{leaf}")
        return found if found is not None and found.is_floating_point() and found.numel() else None

    def number(self, key: str, otherwise: float | None) -> float | None:
        """A setting that is a number; `None` for one that is something else."""
        found = self.settings.get(key, otherwise)
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def meaning_of(drawing: Drawing, called: Called) -> int:
    """Where what a layer gives stands."""
    kind = called.kind
    if not called.is_own:
        return drawing.lost()
    if kind in BATCH_NORMS:
        return _normalized(drawing, called)
    if kind in _SAME:
        return called.source
    if kind in _OPERATIONS and kind not in _KNOWN:
        return drawing.put(Activated(_OPERATIONS[kind], called.source))
    if kind.startswith(_AVERAGING):
        return drawing.put(Averaged(called.source))
    if kind.startswith(_LARGEST):
        return drawing.lost(Unpredicted.LARGEST)
    known = _KNOWN.get(kind)
    return drawing.lost() if known is None else known(drawing, called)


def _normalized(drawing: Drawing, called: Called) -> int:
    axis = called.settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, 1, 2, 3, 4):
        return drawing.lost(Unpredicted.REARRANGED)
    mean = called.tensor("running_mean")
    return drawing.put(Normalized(called.name, called.source), None if mean is None else mean.numel())


def _convolution(drawing: Drawing, called: Called) -> int:
    """Kernels are (*kernel, I / groups, O)."""
    kernel = called.tensor("kernel")
    if kernel is None or kernel.dim() < 3:
        return drawing.lost(Unpredicted.MULTIPLIED)
    groups = int(called.number("groups", 1) or 1)
    return _then(drawing, called, _weighted(drawing, called, _last_first(kernel), groups))


def _transposed(drawing: Drawing, called: Called) -> int:
    """Kernels are (*kernel, O, I)."""
    kernel = called.tensor("kernel")
    if kernel is None or kernel.dim() < 3:
        return drawing.lost(Unpredicted.MULTIPLIED)
    strides = called.settings.get("strides", 1)
    each = tuple(strides) if isinstance(strides, list) else (strides,) * (kernel.dim() - 2)
    weight = _last_first(kernel)
    put = Weighted(
        f"{called.name}.kernel", called.source, weight, called.tensor("bias"), 1, True, True, tuple(map(int, each))
    )
    return _then(drawing, called, drawing.put(put))


def _depthwise(drawing: Drawing, called: Called) -> int:
    """Kernels are (*kernel, C, multiplier)."""
    place = _of_depth(drawing, called, "bias")
    return drawing.lost(Unpredicted.MULTIPLIED) if place is None else _then(drawing, called, place)


def _separable(drawing: Drawing, called: Called) -> int:
    """A depthwise convolution without an activation, and a pointwise one."""
    place, kernel = _of_depth(drawing, called, None), called.tensor("pointwise_kernel")
    if place is None or kernel is None or kernel.dim() < 3:
        return drawing.lost(Unpredicted.MULTIPLIED)
    weight = _last_first(kernel)
    put = Weighted(f"{called.name}.pointwise_kernel", place, weight, called.tensor("bias"))
    return _then(drawing, called, drawing.put(put))


def _last_first(kernel: torch.Tensor) -> torch.Tensor:
    """The last axis first and the one before it second, as PyTorch has them, then those of positions."""
    return kernel.permute(kernel.dim() - 1, kernel.dim() - 2, *range(kernel.dim() - 2))


def _of_depth(drawing: Drawing, called: Called, bias: str | None) -> int | None:
    kernel = called.tensor("depthwise_kernel")
    kernel = called.tensor("kernel") if kernel is None else kernel  # older files call it so
    if kernel is None or kernel.dim() < 3:
        return None
    channels, times = kernel.shape[-2:]
    spatial = kernel.shape[:-2]
    turned = kernel.permute(kernel.dim() - 2, kernel.dim() - 1, *range(kernel.dim() - 2))
    weight = turned.reshape(channels * times, 1, *spatial)
    return _weighted(drawing, called, weight, channels, "depthwise_kernel", bias)


def _weighted(
    drawing: Drawing, called: Called, weight: torch.Tensor, groups: int, leaf: str = "kernel", bias: str | None = "bias"
) -> int:
    wide = any(size > 1 for size in weight.shape[2:])
    padded = wide and called.settings.get("padding", _NO_EDGE) != _NO_EDGE
    offset = None if bias is None else called.tensor(bias)
    return drawing.put(Weighted(f"{called.name}.{leaf}", called.source, weight, offset, groups, padded))


def _dense(drawing: Drawing, called: Called) -> int:
    kernel = called.tensor("kernel")
    if kernel is None or kernel.dim() != 2:
        return drawing.lost(Unpredicted.MULTIPLIED)
    put = Weighted(f"{called.name}.kernel", called.source, kernel.t(), called.tensor("bias"))
    return _then(drawing, called, drawing.put(put))


def _then(drawing: Drawing, called: Called, place: int) -> int:
    """What a layer's own activation makes of what it gives."""
    return _function(drawing, called, place, called.settings.get("activation"))


def _function(drawing: Drawing, called: Called, place: int, named: Any) -> int:
    if named is None or named == "linear":
        return place
    known = _FUNCTIONS.get(named) if isinstance(named, str) else None
    if known is None and isinstance(named, str) and called.arguments is not None:
        known = _OF_KERAS_3.get(named) if isinstance(called.arguments, Mapping) else None
    return drawing.lost() if known is None else drawing.put(Activated(known, place))


def _activation(drawing: Drawing, called: Called) -> int:
    return _function(drawing, called, called.source, called.settings.get("activation"))


def _relu(drawing: Drawing, called: Called) -> int:
    slope, threshold = called.number("negative_slope", 0.0), called.number("threshold", 0.0)
    most = called.settings.get("max_value")
    if slope is None or threshold != 0.0 or (most is not None and (slope or called.number("max_value", None) != 6.0)):
        return drawing.lost()
    return drawing.clipped(called.source, 0.0, 6.0) if most is not None else drawing.leaky(called.source, _one(slope))


def _leaky(drawing: Drawing, called: Called) -> int:
    slope = called.number("negative_slope" if "negative_slope" in called.settings else "alpha", _LEAKY)
    return drawing.lost() if slope is None else drawing.leaky(called.source, _one(slope))


def _prelu(drawing: Drawing, called: Called) -> int:
    slope = called.tensor("0")
    slope = called.tensor("alpha") if slope is None else slope
    if slope is None or slope.numel() not in (1, drawing.channels[called.source]):
        return drawing.lost()
    return drawing.leaky(called.source, slope.detach().double().reshape(-1).numpy())


def _elu(drawing: Drawing, called: Called) -> int:
    if called.number("alpha", 1.0) != 1.0:
        return drawing.lost()
    return drawing.put(Activated(Activation.ELU, called.source))


def _added(drawing: Drawing, called: Called) -> int:
    signs = [1.0, *(-1.0 if called.kind == "Subtract" else 1.0 for _ in called.sources[1:])]
    if len(called.sources) < 2:
        return drawing.lost()
    return drawing.added(called.sources, signs)


def _multiplied(drawing: Drawing, called: Called) -> int:
    if len(called.sources) != 2:
        return drawing.lost(Unpredicted.MULTIPLIED)
    return drawing.multiplied(*called.sources)


def _joined(drawing: Drawing, called: Called) -> int:
    if called.settings.get("axis", -1) not in (-1, 1, 2, 3, 4):
        return drawing.lost(Unpredicted.REARRANGED)
    return drawing.put(Joined(called.sources))


def _padded(drawing: Drawing, called: Called) -> int:
    return drawing.put(Padded(called.source))


def _flattened(drawing: Drawing, called: Called) -> int:
    return drawing.flattened(called.source, last=not called.is_channels_first)


def _rescaled(drawing: Drawing, called: Called) -> int:
    scale, offset = called.number("scale", 1.0), called.number("offset", 0.0)
    return drawing.lost() if scale is None or offset is None else drawing.scaled(called.source, scale, offset)


def _one(number: float) -> Any:
    return np.array([number])


_KNOWN: dict[str, Callable[[Drawing, Called], int]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "Convolution2D"), _convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    "Dense": _dense,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "PReLU": _prelu,
    "ELU": _elu,
    **dict.fromkeys(("Add", "Subtract"), _added),
    "Multiply": _multiplied,
    "Concatenate": _joined,
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"), _padded),
    "Flatten": _flattened,
    "Rescaling": _rescaled,
}
