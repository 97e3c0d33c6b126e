"""Every normalization layer of a module, by its classes and its tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from bncheck.core import BATCH_NORM, GROUP_NORM, INSTANCE_NORM, LAYER_NORM, RMS_NORM, NormLayer
from bncheck.errors import ModelError
from bncheck.formats.kinds import TORCH_KINDS, kind_with_statistics, kind_without_statistics, updates_in_training
from bncheck.formats.tensors import build_layer, same_storage
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

_ROLES = ("running_mean", "running_var", "weight", "bias", "num_batches_tracked")


def list_layers(module: torch.nn.Module) -> tuple[NormLayer, ...]:
    """Every normalization layer of `module`, in the order of `named_modules`; shared ones once, under the first name.

    Works on eager and on scripted or traced modules, whose classes are known by name alone.

    Raises:
        ModelError: a layer has no values yet (a lazy module, tensors on the meta device).
    """
    require_values(module)
    return tuple(layer for layer in _described(module) if layer is not None)


def require_values(module: torch.nn.Module) -> None:
    """Raise ModelError where a parameter or buffer has no values: lazy, or on the meta device."""
    for name, tensor in _listed(module):
        if torch.nn.parameter.is_lazy(tensor):
            raise ModelError(
                f"{name} is lazy: its shape is unknown until a first batch. Run the model once on a batch "
                "before it is returned or saved, or give the layer its number of channels."
            )
        if tensor.is_meta:
            raise ModelError(
                f"{name} is on the meta device and has no values. Build the model on the CPU "
                "(without `torch.device('meta')`, or after `to_empty` and loading the weights)."
            )


def require_state(module: torch.nn.Module) -> None:
    """Raise `ModelError` where `state_dict()` was written anew and gives something else than values by name."""
    state: Any = module.state_dict()
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise ModelError(f"state_dict() of {with_article(class_name(module))} gives no values by name.")


def has_convolutions(module: torch.nn.Module) -> bool:
    """Whether `module` has convolutions: PyTorch's own, or classes named so."""
    own = torch.nn.modules.conv._ConvNd
    return any(isinstance(child, own) or "conv" in class_name(child).lower() for child in module.modules())


def class_name(module: torch.nn.Module) -> str:
    """The name of the class that was written: a scripted module's own class says nothing."""
    original = getattr(module, "original_name", None)
    return original if isinstance(original, str) else type(module).__name__


def _listed(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """All tensors; PyTorch gives some classes of its own back from a pickle without the table they stand in."""
    try:
        return list(_all_tensors(module))
    except AttributeError as error:
        raise ModelError(
            f"The parts of the module cannot be listed: {error}. PyTorch does not restore every quantized class from a "
            "pickle: save it scripted (`torch.jit.script`), or its state dict."
        ) from error


def _all_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _described(module: torch.nn.Module) -> Iterator[NormLayer | None]:
    seen: set[tuple[int, int]] = set()
    for name, child in module.named_modules():
        mean = _own_tensors(child).get("running_mean")
        address = same_storage(mean) if mean is not None else None
        if address is None or address not in seen:
            yield _describe(name, child)
        if address is not None:
            seen.add(address)


def _describe(name: str, module: torch.nn.Module) -> NormLayer | None:
    tensors = _own_tensors(module)
    kind = _kind(module, has_statistics="running_mean" in tensors and "running_var" in tensors)
    if kind is None:
        return None
    return build_layer(
        name,
        kind,
        tensors,
        channels=_declared_channels(module),
        eps=_number(module, "eps", "epsilon"),
        momentum=_number(module, "momentum"),
        trainable_class=_trainable(module),
    )


def _kind(module: torch.nn.Module, *, has_statistics: bool) -> str | None:
    own_class = class_name(module)
    if own_class in TORCH_KINDS and isinstance(module, torch.jit.ScriptModule):
        return TORCH_KINDS[own_class]
    for torch_class, kind in _torch_classes():
        if isinstance(module, torch_class):
            return kind
    if has_statistics:
        return kind_with_statistics(own_class)
    # A wrapper such as PreLayerNorm holds the norm as a child, and the child is listed by itself.
    return kind_without_statistics(own_class) if not any(True for _ in module.children()) else None


@cache
def _torch_classes() -> tuple[tuple[type[torch.nn.Module], str], ...]:
    """PyTorch's own, the two that training updates first."""
    return (
        (torch.nn.modules.batchnorm._BatchNorm, BATCH_NORM),
        (torch.nn.modules.instancenorm._InstanceNorm, INSTANCE_NORM),
        (torch.nn.GroupNorm, GROUP_NORM),
        (torch.nn.LayerNorm, LAYER_NORM),
        (torch.nn.RMSNorm, RMS_NORM),
    )


def _trainable(module: torch.nn.Module) -> bool | None:
    if "frozen" in class_name(module).lower():
        return False
    if isinstance(module, tuple(own for own, _ in _torch_classes()[:2])):
        return True
    return updates_in_training(class_name(module)) if isinstance(module, torch.jit.ScriptModule) else None


def _declared_channels(module: torch.nn.Module) -> int:
    for attribute in ("num_features", "num_channels", "normalized_shape"):
        declared = getattr(module, attribute, None)
        if isinstance(declared, int):
            return declared
        if isinstance(declared, (tuple, list)):
            return math.prod(declared)
    return 0


def _own_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by role; plain attributes are left alone, since reading a property may run anything."""
    own = (
        *module.named_parameters(recurse=False, remove_duplicate=False),
        *module.named_buffers(recurse=False, remove_duplicate=False),
    )
    return {name: tensor for name, tensor in own if name in _ROLES}


def _number(module: torch.nn.Module, *attributes: str) -> float | None:
    for attribute in attributes:
        found = getattr(module, attribute, None)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            try:
                return float(found)
            except OverflowError:  # a whole number of hundreds of digits
                return math.inf if found > 0 else -math.inf
    return None
