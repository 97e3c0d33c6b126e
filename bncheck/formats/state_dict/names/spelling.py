"""State dicts as other frameworks and wrappers spell them, in PyTorch's names.

Within names stand what compiling, sharding and checkpointing wrap around a module; weight normalization keeps a
direction and a length instead of a weight (Salimans and Kingma 2016, eq. 2); statistics are called `moving_mean`,
stored as standard deviations, or stand as `mean` and `var` beside `scale` and `offset`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bncheck.tensors import torch

_WRAPPERS = re.compile(r"(?<=\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_flat_module)\.")
_LENGTHS = {"weight_g": "weight_v", "parametrizations.weight.original0": "parametrizations.weight.original1"}
"""What weight normalization calls the length, and the direction."""
ROOT = "running_std"
"""What holds the standard deviation instead of the variance."""
_MEANS = ("running_mean", "moving_mean", "mean")
_VARIANCES = ("running_var", "moving_variance", "moving_var", ROOT, "var", "variance")
_SCALES, _OFFSETS = ("weight", "gamma", "scale"), ("bias", "beta", "offset")
_PYTORCH = {
    **dict.fromkeys(_MEANS, "running_mean"),
    **dict.fromkeys(_VARIANCES, "running_var"),
    **dict.fromkeys(_SCALES, "weight"),
    **dict.fromkeys(_OFFSETS, "bias"),
}
_BARE = ("mean", "var", "variance")
"""What may be anything, and is a statistic only beside a scale and an offset."""

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Spelled:
    """Tensors in PyTorch's names.

    Attributes:
        tensors: by those names, variances where the file has their roots.
        names: the file's name of each; of what is computed from several, none.
    """

    tensors: Mapping[str, torch.Tensor]
    names: Mapping[str, str | None]


def in_pytorch_names(tensors: Tensors, expected: Collection[str] = ()) -> Spelled:
    """The tensors of a file as PyTorch would have named them; names that are expected stay as they are."""
    names: dict[str, str | None] = {name: name for name in tensors}
    values = dict(tensors)
    for change in (_unwrapped, _without_weight_norm, _statistics):
        values, names = change(values, names, expected)
    return Spelled(values, names)


def with_pytorch_statistics(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors of a file with PyTorch's names for what a normalization layer has; all others as they are."""
    return _statistics(dict(tensors), {name: name for name in tensors}, ())[0]


def _unwrapped(
    values: dict[str, torch.Tensor], names: dict[str, str | None], expected: Collection[str]
) -> tuple[dict[str, torch.Tensor], dict[str, str | None]]:
    """Names without what is wrapped around a part of the module."""
    new = {name: name if name in expected else _WRAPPERS.sub("", name) for name in values}
    if any(name in expected and _WRAPPERS.search(name) for name in values) or len(set(new.values())) < len(new):
        return values, names
    return {new[name]: value for name, value in values.items()}, {new[name]: known for name, known in names.items()}


def _without_weight_norm(
    values: dict[str, torch.Tensor], names: dict[str, str | None], expected: Collection[str]
) -> tuple[dict[str, torch.Tensor], dict[str, str | None]]:
    """The weight that a length and a direction make, unless the architecture keeps these too."""
    for length, direction in _LENGTHS.items():
        for name in [name for name in values if name.endswith(f".{length}") or name == length]:
            prefix = name.removesuffix(length)
            other, weight = prefix + direction, f"{prefix}weight"
            if other not in values or name in expected or weight in values:
                continue
            computed = _normalized(values.pop(name), values.pop(other))
            if computed is None:
                return values, names
            del names[name], names[other]
            values[weight], names[weight] = computed, None
    return values, names


def _normalized(length: torch.Tensor, direction: torch.Tensor) -> torch.Tensor | None:
    """Length times direction over its norm, on the axes that the length does not have."""
    if length.dim() not in (0, direction.dim()) or not direction.is_floating_point():
        return None
    axes = [axis for axis in range(direction.dim()) if length.dim() == 0 or length.shape[axis] == 1]
    wide = direction.detach().double()
    norm = wide.square().sum(axes or None, keepdim=bool(axes)).sqrt()
    return (length.detach().double() * wide / norm).to(direction.dtype)


def _statistics(
    values: dict[str, torch.Tensor], names: dict[str, str | None], expected: Collection[str]
) -> tuple[dict[str, torch.Tensor], dict[str, str | None]]:
    """Statistics and their scale and offset under PyTorch's names."""
    parts: dict[str, dict[str, str]] = {}
    for name in values:
        prefix, dot, last = name.rpartition(".")
        if last in _PYTORCH:
            parts.setdefault(prefix + dot, {})[last] = name
    leaves = {name.rpartition(".")[2] for name in expected}
    changed: dict[str, str] = {}
    for prefix, held in parts.items():
        if not _is_layer(held, values) or any(last in leaves and last not in _PYTORCH.values() for last in held):
            continue
        changed |= {name: prefix + _PYTORCH[last] for last, name in held.items()}
    read = {
        changed.get(name, name): _variance(name, value) if name in changed else value for name, value in values.items()
    }
    return read, {changed.get(name, name): known for name, known in names.items()}


def _variance(name: str, value: torch.Tensor) -> torch.Tensor:
    """What a statistic is as PyTorch keeps it."""
    is_root = name.rpartition(".")[2] == ROOT and value.is_floating_point()
    return value.detach().square() if is_root else value


def _is_layer(held: Mapping[str, str], values: Tensors) -> bool:
    """Whether these are a mean and a variance, one value a channel each, and each role is taken once."""
    roles = [_PYTORCH[last] for last in held]
    if len(set(roles)) < len(roles) or not {"running_mean", "running_var"} <= set(roles):
        return False
    if set(_BARE) & set(held) and not {"weight", "bias"} <= set(roles):
        return False
    shapes = {values[name].shape for name in held.values()}
    return len(shapes) == 1 and all(len(shape) == 1 for shape in shapes)
