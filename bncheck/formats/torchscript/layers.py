"""Every normalization layer of a TorchScript program: modules, traced calls, and frozen constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from bncheck.core import INSTANCE_NORM, OTHER, NormLayer
from bncheck.formats.kinds import kind_of_operator
from bncheck.formats.tensors import build_layer, same_storage
from bncheck.formats.torch_module.listing import list_layers
from bncheck.formats.torchscript.graph import NO_SCHEMA, given_to, nodes_of

_ROLES = ("running_mean", "running_var", "weight", "bias")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A normalization in the graph: its kind, the dotted names of its tensors, and its constants."""

    kind: str
    names: dict[str, str]
    constants: dict[str, Any]

    def number(self, argument: str) -> float | None:
        """The value of a numeric constant."""
        value = self.constants.get(argument)
        return float(value) if isinstance(value, (int, float)) else None

    @property
    def by_input(self) -> bool:
        """Whether it was traced in training mode; where the mode is read from the module it is no constant."""
        return any(self.constants.get(argument) is True for argument in ("training", "use_input_stats"))


@dataclass(frozen=True, slots=True, eq=False)
class ScriptLayers:
    """What a program normalizes by.

    Attributes:
        layers: every layer, those whose values were frozen last.
        frozen: the statistics and parameters that `torch.jit.freeze` made constants of, by the names their layers are
            given.
    """

    layers: tuple[NormLayer, ...]
    frozen: dict[str, torch.Tensor]


def list_script_layers(program: torch.jit.ScriptModule) -> ScriptLayers:
    """Every normalization layer of a scripted or traced module."""
    calls = list(_calls(program))
    frozen = _frozen_layers(calls)
    listed = (_completed(_as_called(layer, calls), calls) for layer in list_layers(program))
    constants = {
        f"{layer.name}.{role}": call.constants[role]
        for layer, call in frozen
        for role in _ROLES
        if isinstance(call.constants.get(role), torch.Tensor)
    }
    return ScriptLayers((*listed, *(layer for layer, _ in frozen)), constants)


def _as_called(layer: NormLayer, calls: list[_Call]) -> NormLayer:
    """The layer without statistics that its archive still holds, but no InstanceNorm of the code refers to."""
    by_instance = [call for call in calls if call.kind == INSTANCE_NORM]
    if layer.kind != INSTANCE_NORM or not by_instance:
        return layer
    own = f"{layer.name}.running_mean" if layer.name else "running_mean"
    if any(own in call.names.values() for call in by_instance):
        return layer
    return replace(layer, mean=None, var=None, updates=None, expects_statistics=False)


def _completed(layer: NormLayer, calls: list[_Call]) -> NormLayer:
    """The layer with the constants of its call: traced modules keep no attributes such as eps."""
    prefix = f"{layer.name}." if layer.name else ""
    for call in calls:
        owned = (call.names.get(role) for role in _ROLES)
        if any(name is not None and name in (f"{prefix}{role}" for role in _ROLES) for name in owned):
            return replace(
                layer,
                kind=call.kind if layer.kind == OTHER else layer.kind,
                eps=call.number("eps") if layer.eps is None else layer.eps,
                momentum=call.number("momentum") if layer.momentum is None else layer.momentum,
                by_input=call.by_input and layer.has_statistics,
            )
    return layer


def _frozen_layers(calls: list[_Call]) -> list[tuple[NormLayer, _Call]]:
    """Layers whose statistics `torch.jit.freeze` turned into constants; their names are lost, so they are counted."""
    found: list[tuple[NormLayer, _Call]] = []
    seen: set[tuple[int, int] | None] = set()
    for call in calls:
        mean = call.constants.get("running_mean")
        if isinstance(mean, torch.Tensor) and same_storage(mean) not in seen:
            seen.add(same_storage(mean))
            tensors = {role: value for role, value in call.constants.items() if isinstance(value, torch.Tensor)}
            name = f"frozen_{call.kind}_{len(found)}"
            eps, momentum = call.number("eps"), call.number("momentum")
            layer = build_layer(name, call.kind, tensors, eps=eps, momentum=momentum)
            found.append((replace(layer, by_input=call.by_input), call))
    return found


def _calls(program: torch.jit.ScriptModule) -> Iterator[_Call]:
    for node in nodes_of(program):
        kind = kind_of_operator(node.kind())
        if kind is not None and node.schema() != NO_SCHEMA:
            yield _Call(kind, *given_to(node))
