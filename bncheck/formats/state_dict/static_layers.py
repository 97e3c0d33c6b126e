"""The normalization layers of a bare state dict, found by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bncheck.core import BATCH_NORM, OTHER, NormLayer
from bncheck.formats.tensors import build_layer, same_storage
from bncheck.tensors import torch

_ROLES = {
    "running_mean": "running_mean",
    "moving_mean": "running_mean",
    "running_var": "running_var",
    "moving_var": "running_var",
    "moving_variance": "running_var",
    "weight": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "num_batches_tracked": "num_batches_tracked",
}
_WRAPPERS = ("module.", "_orig_mod.")
_NO_LAYER = ("n_averaged",)

Group = dict[str, torch.Tensor]


def layers_of_tensors(tensors: Mapping[str, torch.Tensor]) -> tuple[NormLayer, ...]:
    """The layers with running statistics, and those that have lost them, in the order of the names.

    A pair of weight and bias without statistics is a layer that lost them only if it is named like a layer
    of the same file that has them, and named as batch normalization: `norm1` may as well be a LayerNorm.
    """
    groups = _grouped(tensors)
    named_alike = {_stem(name) for name, group in groups.items() if _has_statistics(group)}
    layers: list[NormLayer] = []
    seen: set[tuple[int, int]] = set()
    for name, group in groups.items():
        if _has_statistics(group):
            address = same_storage(group["running_mean"])
            if address not in seen or address is None:
                layers.append(build_layer(name, _kind(name, group, tensors), group))
            if address is not None:
                seen.add(address)
        elif _lost_statistics(name, group, named_alike):
            layers.append(replace(build_layer(name, BATCH_NORM, group), expects_statistics=True, missing=True))
    return tuple(layers)


def without_wrappers(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors without the prefixes of DataParallel and torch.compile that all names share, and those prefixes."""
    stripped, removed = dict(tensors), ""
    while prefix := _shared_wrapper(stripped):
        stripped = {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
        removed += prefix
    return stripped, removed


def tensors_have_convolutions(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether weights look like those of convolutions: rank 4, or rank 3 or 5 under a name with `conv`."""
    return any(
        tensor.dim() == 4 or (tensor.dim() in (3, 5) and "conv" in name.lower())
        for name, tensor in tensors.items()
        if name.endswith("weight")
    )


def _grouped(tensors: Mapping[str, torch.Tensor]) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for name, tensor in tensors.items():
        prefix, _, leaf = name.rpartition(".")
        if leaf in _ROLES:
            groups.setdefault(prefix, {})[_ROLES[leaf]] = tensor
    return groups


def _has_statistics(group: Group) -> bool:
    return "running_mean" in group and "running_var" in group


def _lost_statistics(name: str, group: Group, named_alike: set[str]) -> bool:
    if "running_mean" in group or "running_var" in group:
        return True
    weight, bias = group.get("weight"), group.get("bias")
    if weight is None or bias is None or weight.dim() != 1 or weight.shape != bias.shape:
        return False
    stem = _stem(name)
    return stem in named_alike and ("bn" in stem or ("batch" in stem and "norm" in stem))


def _stem(name: str) -> str:
    """The last component of a name without digits: `layer1.0.bn2` gives `bn`."""
    return re.sub(r"\d", "", name.rpartition(".")[2]).lower()


def _kind(name: str, group: Group, tensors: Mapping[str, torch.Tensor]) -> str:
    # Reinforcement learning keeps a running mean and variance of observations, with a plain `count`.
    is_observation_filter = f"{name}.count".lstrip(".") in tensors and group.keys() == {"running_mean", "running_var"}
    return OTHER if is_observation_filter else BATCH_NORM


def _shared_wrapper(tensors: Mapping[str, torch.Tensor]) -> str | None:
    names = [name for name in tensors if name not in _NO_LAYER]
    for prefix in _WRAPPERS:
        if names and all(name.startswith(prefix) for name in names):
            return prefix
    return None
