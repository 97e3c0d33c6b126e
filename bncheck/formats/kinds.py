"""Which kind of normalization a class is, judged by its name.

Names are all that TorchScript and exported programs keep of a class, and all there is to go by for
layers that users write themselves.
"""

from __future__ import annotations

from bncheck.core import BATCH_NORM, GROUP_NORM, INSTANCE_NORM, LAYER_NORM, OTHER, RMS_NORM

_BATCH_CLASSES = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
_INSTANCE_CLASSES = ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")

TORCH_KINDS = {
    **dict.fromkeys(_BATCH_CLASSES, BATCH_NORM),
    **dict.fromkeys(_INSTANCE_CLASSES, INSTANCE_NORM),
    "GroupNorm": GROUP_NORM,
    "LayerNorm": LAYER_NORM,
    "RMSNorm": RMS_NORM,
}
"""PyTorch's own classes."""

_FRAGMENTS = (
    ("instancenorm", INSTANCE_NORM),
    ("layernorm", LAYER_NORM),
    ("groupnorm", GROUP_NORM),
    ("rmsnorm", RMS_NORM),
)


def kind_with_statistics(class_name: str) -> str:
    """The kind of a layer that holds running statistics; `other` where the name does not tell."""
    plain = _plain(class_name)
    if "instancenorm" in plain:
        return INSTANCE_NORM
    return BATCH_NORM if "batchnorm" in plain or "bn" in plain else OTHER


def kind_without_statistics(class_name: str) -> str | None:
    """The kind of a layer without running statistics; `None` where the name is no such layer's."""
    plain = _plain(class_name)
    return next((kind for fragment, kind in _FRAGMENTS if fragment in plain), None)


def kind_of_operator(name: str) -> str | None:
    """The kind that an ATen operator computes (`_native_batch_norm_legit`, `layer_norm`); `None` for others."""
    for kind in (BATCH_NORM, INSTANCE_NORM, GROUP_NORM, LAYER_NORM, RMS_NORM):
        if kind in name:
            return kind
    return None


def updates_in_training(class_name: str) -> bool | None:
    """Whether the class is known to update its statistics in training; `None` for classes nobody knows."""
    if class_name in _BATCH_CLASSES or class_name in _INSTANCE_CLASSES:
        return True
    return False if "frozen" in class_name.lower() else None


def _plain(class_name: str) -> str:
    return class_name.replace("_", "").lower()
