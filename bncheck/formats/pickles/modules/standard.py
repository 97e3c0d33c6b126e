"""PyTorch's own modules, built by their own constructors of what a pickle says: classes whose forward is PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn

_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
_POOL = ("kernel_size", "stride", "padding")
_MAX_POOL = (*_POOL, "dilation", "return_indices", "ceil_mode")
_AVERAGE_POOL = (*_POOL, "ceil_mode", "count_include_pad")
_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
_DROP = ("p", "inplace")
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Conv1d", "Conv2d", "Conv3d"), _CONV),
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), (*_CONV, "output_padding")),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"), _NORM),
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), _NORM),
    **dict.fromkeys(("MaxPool1d", "MaxPool2d", "MaxPool3d"), _MAX_POOL),
    "AvgPool1d": _AVERAGE_POOL,
    **dict.fromkeys(("AvgPool2d", "AvgPool3d"), (*_AVERAGE_POOL, "divisor_override")),
    **dict.fromkeys(("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"), ("output_size",)),
    **dict.fromkeys(("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"), ("output_size", "return_indices")),
    **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"), _DROP),
    **dict.fromkeys(("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid"), ("inplace",)),
    **dict.fromkeys(("Sequential", "Identity", "Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Tanhshrink"), ()),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Softmin", "GLU"), ("dim",)),
    **dict.fromkeys(("ELU", "CELU"), ("alpha", "inplace")),
    **dict.fromkeys(("Hardshrink", "Softshrink"), ("lambd",)),
    **dict.fromkeys(
        ("ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d"), ("padding",)
    ),
    **dict.fromkeys(("ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d"), ("padding",)),
    **dict.fromkeys(("ConstantPad1d", "ConstantPad2d", "ConstantPad3d"), ("padding", "value")),
    "Linear": ("in_features", "out_features"),
    "Embedding": ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type"),
    "GroupNorm": ("num_groups", "num_channels", "eps", "affine"),
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "RMSNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "LocalResponseNorm": ("size", "alpha", "beta", "k"),
    "PReLU": ("num_parameters",),
    "LeakyReLU": ("negative_slope", "inplace"),
    "Hardtanh": ("min_val", "max_val", "inplace"),
    "Threshold": ("threshold", "value", "inplace"),
    "Softplus": ("beta", "threshold"),
    "Softmax2d": (),
    "GELU": ("approximate",),
    "Flatten": ("start_dim", "end_dim"),
    "Unflatten": ("dim", "unflattened_size"),
    "Upsample": ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
    "UpsamplingNearest2d": ("size", "scale_factor"),
    "UpsamplingBilinear2d": ("size", "scale_factor"),
    "PixelShuffle": ("upscale_factor",),
    "PixelUnshuffle": ("downscale_factor",),
    "ChannelShuffle": ("groups",),
}
"""By class: the arguments of its constructor, which are attributes of the same names."""
_WITH_TENSORS = ("Conv", "BatchNorm", "InstanceNorm", "Linear", "Embedding", "GroupNorm", "LayerNorm", "RMSN", "PReLU")
_WITH_BIAS = ("Conv", "Linear", "LayerNorm")
_WORDS = ("padding", "padding_mode", "mode", "approximate")
"""Arguments that may be words."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_LARGEST = 2**31
_MOST = 32
_LONGEST = 100


def standard_module(class_name: str, attributes: Mapping[str, Any]) -> nn.Module | None:
    """The module, without its values; `None` where it is no class of the list, or was changed into something else.

    Hooks and attributes in the place of methods make something else of it. Attributes that the class does not know
    change nothing in its forward, and are left out.

    Args:
        class_name: in full, as the pickle has it.
        attributes: that it was pickled with.
    """
    known = _classes().get(class_name)
    if known is None or any(attributes.get(table) for table in _HOOKS):
        return None
    if any(
        callable(getattr(known, name, None)) and not _is_plain(value, words=True) for name, value in attributes.items()
    ):
        return None
    given = {name: attributes[name] for name in _ARGUMENTS[known.__name__] if name in attributes}
    if not all(_is_plain(value, words=name in _WORDS) for name, value in given.items()):
        return None
    if known.__name__.startswith(_WITH_TENSORS):
        given["device"] = "meta"
    if known.__name__.startswith(_WITH_BIAS):
        given["bias"] = _of(attributes, "_parameters").get("bias") is not None
    try:
        made: nn.Module = known(**given)
    except Exception:  # noqa: BLE001  # whatever a constructor has against its arguments
        return None
    return made if _has_the_tensors(made, attributes) else None


@cache
def _classes() -> Mapping[str, type[nn.Module]]:
    found = {name: getattr(nn, name) for name in _ARGUMENTS if hasattr(nn, name)}
    return {f"{one.__module__}.{one.__qualname__}": one for one in found.values()}


def _has_the_tensors(made: nn.Module, attributes: Mapping[str, Any]) -> bool:
    """Whether parameters and buffers are those of the class, by name and shape; old files have no counters."""
    for table, own in (("_parameters", made._parameters), ("_buffers", made._buffers)):
        given = _of(attributes, table)
        held = {name: getattr(value, "shape", None) for name, value in given.items() if value is not None}
        expected = {name: value.shape for name, value in own.items() if value is not None}
        expected = {name: shape for name, shape in expected.items() if name in held or name != "num_batches_tracked"}
        if held != expected:
            return False
    return isinstance(made, nn.Sequential) or not _of(attributes, "_modules")


def _of(attributes: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    found = attributes.get(table)
    return found if isinstance(found, dict) else {}


def _is_plain(value: Any, depth: int = 0, *, words: bool = False) -> bool:
    """Whether it is a number of an ordinary size, or a few of them; or a word."""
    if isinstance(value, (tuple, list)):
        return depth < 2 and len(value) <= _MOST and all(_is_plain(part, depth + 1) for part in value)
    if isinstance(value, str):
        return words and len(value) <= _LONGEST
    if value is None or isinstance(value, bool):
        return True
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < _LARGEST
