"""Normalization layers of a Keras file, and the names of all its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bncheck.core import BATCH_NORM, GROUP_NORM, LAYER_NORM, RMS_NORM, NormLayer
from bncheck.errors import ModelError
from bncheck.formats.keras.places import Owner
from bncheck.formats.tensors import build_layer
from bncheck.tensors import torch

BATCH_NORMS = ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization")
_OTHERS = {"LayerNormalization": LAYER_NORM, "GroupNormalization": GROUP_NORM, "RMSNormalization": RMS_NORM}
_ROLES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
"""Keras' names of what PyTorch calls otherwise."""
_RENORM = ("moving_stddev", "renorm_mean", "renorm_stddev")
_LEAVES = {
    "Dense": ("kernel", "bias"),
    "Embedding": ("embeddings",),
    "DepthwiseConv1D": ("depthwise_kernel", "bias"),
    "DepthwiseConv2D": ("depthwise_kernel", "bias"),
    "SeparableConv1D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
}
_EPS, _MOMENTUM = 1e-3, 0.99
"""Keras' defaults, for configurations that leave them out."""

Tensors = Mapping[str, torch.Tensor]


def leaves_of(owner: Owner, tensors: Tensors) -> tuple[str, ...]:
    """What each of a layer's tensors is called, in their order: in PyTorch's words those of normalization."""
    return tuple(_ROLES.get(leaf, leaf) for leaf in _own_leaves(owner, tensors))


def is_batch_norm(owner: Owner, tensors: Tensors) -> bool:
    """Whether a layer is one: by its class, or by its name and tensors where the class is somebody's own."""
    if owner.node is not None and owner.node.is_own:
        return owner.node.class_name in BATCH_NORMS
    vectors = _vectors(owner, tensors)
    if owner.leaves is not None:
        return {"moving_mean", "moving_variance"} <= set(owner.leaves)
    plain = owner.hint.replace("_", "").lower()
    named = "batchnorm" in plain or re.search(r"(^|[^a-z])bn|bn([^a-z]|$)", owner.hint.lower()) is not None
    if vectors is None or not 2 <= len(vectors) <= 7 or not (named or ("norm" in plain and len(vectors) == 4)):
        return False
    return bool((vectors[_of_statistics(len(vectors)) + 1] >= 0).all())


def layer_of(owner: Owner, tensors: Tensors) -> NormLayer | None:
    """The layer, where it normalizes.

    Raises:
        ModelError: what is filed under it is not what its class has.
    """
    held = dict(zip(leaves_of(owner, tensors), (tensors[path] for path in owner.datasets), strict=True))
    settings = owner.node.settings if owner.node is not None else {}
    if is_batch_norm(owner, tensors):
        layer = build_layer(
            owner.dotted,
            BATCH_NORM,
            {role: held[role].reshape(-1) for role in _ROLES.values() if role in held},
            eps=_setting(settings, "epsilon", None if owner.node is None else _EPS),
            momentum=torch_momentum(_setting(settings, "momentum", None if owner.node is None else _MOMENTUM)),
            trainable_class=True,
        )
        return layer if layer.has_statistics else replace(layer, expects_statistics=True, missing=True)
    kind = _OTHERS.get(owner.node.class_name) if owner.node is not None and owner.node.is_own else None
    if kind is None:
        return None
    return build_layer(
        owner.dotted,
        kind,
        {role: held.get(role) for role in ("weight", "bias")},
        eps=_setting(settings, "epsilon", _EPS),
    )


def torch_momentum(momentum: float | None) -> float | None:
    """The weight of the newest batch; Keras' momentum is that of the old value."""
    return None if momentum is None else round(1.0 - momentum, 7)


def _own_leaves(owner: Owner, tensors: Tensors) -> Sequence[str]:
    count = len(owner.datasets)
    if owner.leaves is not None:
        return owner.leaves
    if is_batch_norm(owner, tensors):
        return _of_batch_norm(owner, tensors, count)
    class_name = owner.node.class_name if owner.node is not None and owner.node.is_own else ""
    settings = owner.node.settings if owner.node is not None else {}
    if class_name in _OTHERS:
        known = tuple(
            leaf for leaf, on in (("gamma", settings.get("scale", True)), ("beta", settings.get("center", True))) if on
        )
    else:
        known = _LEAVES.get(class_name, ("kernel", "bias") if class_name.startswith("Conv") else ())
    numbered = tuple(str(at) for at in range(count))
    return known[:count] if len(known) >= count else numbered


def _of_batch_norm(owner: Owner, tensors: Tensors, count: int) -> tuple[str, ...]:
    if count == 0:
        return ()
    if owner.node is not None and owner.node.is_own:
        settings = owner.node.settings
        affine = [leaf for leaf, key in (("gamma", "scale"), ("beta", "center")) if settings.get(key, True)]
        wanted = (*affine, "moving_mean", "moving_variance", *(_RENORM if settings.get("renorm") else ()))
        if len(wanted) != count or _vectors(owner, tensors) is None:
            raise ModelError(
                f"{owner.dotted} has {count} tensors in the file, and by its configuration {len(wanted)} vectors of "
                "one length: weights and configuration do not belong together. Save the model again."
            )
        return wanted
    first = _of_statistics(count)
    affine = ["gamma", "beta"] if first == 2 else [str(at) for at in range(first)]
    return (*affine, "moving_mean", "moving_variance", *_RENORM)[:count]


def _of_statistics(count: int) -> int:
    """Where among so many vectors the mean stands, before the variance: behind gamma and beta, before renorm's."""
    return count - (5 if count >= 5 else 2)


def _vectors(owner: Owner, tensors: Tensors) -> list[torch.Tensor] | None:
    """The tensors of a layer, where all are vectors of floats and of one length."""
    found = [tensors[path] for path in owner.datasets]
    fits = all(one.dim() == 1 and one.is_floating_point() for one in found) and len({len(one) for one in found}) == 1
    return found if fits else None


def _setting(settings: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        number = float(value)
    except OverflowError:
        return default
    return number if math.isfinite(number) else default
