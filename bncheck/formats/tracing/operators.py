"""The operators of PyTorch, by what they do to the moments of channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bncheck.core import BATCH_NORM
from bncheck.formats.kinds import kind_of_operator
from bncheck.formats.tensors import channel_values
from bncheck.formats.tracing import arithmetic, products, shapes
from bncheck.formats.tracing.values import Call, Value, per_channel
from bncheck.formats.wiring.drawing import Drawing
from bncheck.formats.wiring.steps import Activated, Averaged, Constant, Normalized
from bncheck.vocabulary import Activation, Unpredicted

_ACTIVATIONS = {
    "relu": Activation.RELU,
    "relu6": Activation.RELU6,
    "silu": Activation.SILU,
    "hardswish": Activation.HARD_SWISH,
    "gelu": Activation.GELU,
    "mish": Activation.MISH,
    "tanh": Activation.TANH,
    "sigmoid": Activation.SIGMOID,
    "hardsigmoid": Activation.HARD_SIGMOID,
    "selu": Activation.SELU,
    "erf": Activation.ERF,
}
_SAME = {
    *("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout"),
    *("contiguous", "clone", "detach", "detach_copy", "to", "to_copy", "alias", "lift_fresh_copy", "type_as", "float"),
    *("half", "identity", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
    *("replication_pad1d", "replication_pad2d", "replication_pad3d", "channels_last", "autocast_to_full_precision"),
}
"""What gives back what it is given, as far as its moments go."""
_AVERAGING = ("avg_pool", "adaptive_avg_pool", "upsample", "interpolate")
_LARGEST = ("max_pool", "adaptive_max_pool", "fractional_max_pool", "amax", "max")
_ASKING = {"size", "sym_size", "dim", "len", "numel", "sym_numel", "is_floating_point", "stride", "sym_stride"}
_ZEROS = {"zeros", "new_zeros", "zeros_like"}
_ELU = {(1.0, 1.0, 1.0): Activation.ELU, (1.6733, 1.0507, 1.0): Activation.SELU}

Meaning = Callable[[Drawing, Call], Any]


def meaning_of(drawing: Drawing, call: Call) -> Any:
    """What a call gives: a `Value`, several of them, or `None` for what is neither."""
    name = call.plain_name
    if not call.operator.startswith("aten::"):
        return Value(drawing.lost())
    if kind_of_operator(name) == BATCH_NORM:
        return _normalized(drawing, call)
    if name in _ASKING:
        return call.rank if name == "dim" else None
    if name in _ZEROS:
        return _zeros(drawing, call)
    if name in _SAME:
        return call.source or Value(drawing.lost())
    if name in _ACTIVATIONS and call.source is not None:
        return Value(drawing.put(Activated(_ACTIVATIONS[name], call.source.place)))
    known = _KNOWN.get(name)
    if known is None and any(name.startswith(begin) for begin in _LARGEST):
        return Value(drawing.lost(Unpredicted.LARGEST))
    if known is None and any(name.startswith(begin) for begin in _AVERAGING):
        known = _averaged
    found = None if known is None else known(drawing, call)
    return Value(drawing.lost()) if found is None else found


def _normalized(drawing: Drawing, call: Call) -> Any:
    mean, source = call.tensor("running_mean"), call.source
    if mean is None or source is None or call.given.get("training") is True:
        return Value(drawing.lost())
    name = call.names.get(mean.data_ptr())
    if name is None:
        return Value(drawing.lost())
    return Value(drawing.put(Normalized(name.rpartition(".")[0], source.place), mean.numel()))


def _zeros(drawing: Drawing, call: Call) -> Value:
    shape = call.shapes[1]
    if shape is None or len(shape) < 2 or not isinstance(shape[1], int):
        return Value(drawing.lost())
    return Value(drawing.put(Constant(np.zeros(shape[1])), shape[1]))


def _averaged(drawing: Drawing, call: Call) -> Value | None:
    return None if call.source is None else Value(drawing.put(Averaged(call.source.place)))


def _mean(drawing: Drawing, call: Call) -> Value | None:
    """Over positions alone."""
    axes = call.sizes("dim")
    if call.source is None or not axes:
        return None
    rank = call.rank if call.rank is not None else 4
    if not all(axis % rank >= 2 for axis in axes if -rank <= axis < rank):
        return None
    return _averaged(drawing, call)


def _leaky(drawing: Drawing, call: Call) -> Value | None:
    slope = call.number("negative_slope")
    below = np.array([0.01 if slope is None else slope])
    return None if call.source is None else Value(drawing.leaky(call.source.place, below))


def _prelu(drawing: Drawing, call: Call) -> Value | None:
    weight, source = call.tensor("weight"), call.source
    if weight is None or source is None or weight.is_meta:
        return None
    channels = drawing.channels[source.place]
    slope = per_channel(weight, channels) if weight.dim() > 1 else channel_values(weight)
    fits = slope is not None and slope.size in (1, channels)
    return Value(drawing.leaky(source.place, slope)) if fits and slope is not None else None


def _clipped(drawing: Drawing, call: Call) -> Value | None:
    bounds = [
        next((number for role in roles if (number := call.number(role)) is not None), None)
        for roles in (("min_val", "min"), ("max_val", "max"))
    ]
    if call.plain_name == "hardtanh":
        bounds = [-1.0 if bounds[0] is None else bounds[0], 1.0 if bounds[1] is None else bounds[1]]
    if any(isinstance(call.given.get(role), Value | torch.Tensor) for role in ("min", "max")):
        return None
    return None if call.source is None else Value(drawing.clipped(call.source.place, bounds[0], bounds[1]))


def _elu(drawing: Drawing, call: Call) -> Value | None:
    alpha, scale, inner = (
        1.0 if (number := call.number(role)) is None else round(number, 4) for role in ("alpha", "scale", "input_scale")
    )
    function = _ELU.get((alpha, scale, inner))
    if call.source is None or function is None:
        return None
    return Value(drawing.put(Activated(function, call.source.place)))


def _softplus(drawing: Drawing, call: Call) -> Value | None:
    if call.source is None or call.number("beta") not in (None, 1.0):
        return None
    return Value(drawing.put(Activated(Activation.SOFTPLUS, call.source.place)))


_KNOWN: dict[str, Meaning] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), products.convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), products.convolution),
    "linear": products.linear,
    **dict.fromkeys(("addmm", "mm", "matmul"), products.matrix_product),
    **dict.fromkeys(("add", "sub", "rsub"), arithmetic.added),
    **dict.fromkeys(("mul", "div"), arithmetic.multiplied),
    "neg": arithmetic.negated,
    **dict.fromkeys(("cat", "concat", "concatenate"), shapes.joined),
    **dict.fromkeys(("view", "reshape", "unsafe_view", "flatten", "squeeze", "unsqueeze"), shapes.reshaped),
    **dict.fromkeys(("permute", "transpose", "t", "pixel_shuffle", "pixel_unshuffle"), shapes.rearranged),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), shapes.rearranged),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"), shapes.split),
    "slice": shapes.sliced,
    "narrow": shapes.narrowed,
    **dict.fromkeys(("constant_pad_nd", "pad"), shapes.padded),
    "mean": _mean,
    "leaky_relu": _leaky,
    **dict.fromkeys(("prelu", "prelu_kernel"), _prelu),
    **dict.fromkeys(("hardtanh", "clamp", "clamp_min", "clamp_max"), _clipped),
    "elu": _elu,
    "softplus": _softplus,
}
BROADCASTING = frozenset({"add", "sub", "rsub", "mul", "div"})
"""Those that give what all their arguments have the shape of, together."""
ELEMENTWISE = frozenset(
    {
        *_ACTIVATIONS,
        *BROADCASTING,
        *("dropout", "native_dropout", "clone", "to_copy", "neg", "leaky_relu", "prelu", "prelu_kernel"),
        *("hardtanh", "clamp", "clamp_min", "clamp_max", "elu", "softplus"),
    }
)
"""Those that give something of their first argument's shape."""
