"""Every normalization layer of a graph of operators, by its calls, its tensors and the modules it came from."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.fx import GraphModule, Node

from bncheck.core import NormLayer
from bncheck.formats.kinds import (
    kind_of_operator,
    kind_with_statistics,
    kind_without_statistics,
    updates_in_training,
)
from bncheck.formats.tensors import build_layer

_ROLES = ("running_mean", "running_var", "weight", "bias")


@dataclass(frozen=True, slots=True)
class _Origin:
    """The module a node was traced from: its dotted path and its class."""

    path: str
    class_name: str


def list_graph_layers(program: GraphModule, names: Mapping[int, str]) -> tuple[NormLayer, ...]:
    """Every normalization layer of `program`, shared ones once: those called, in that order, then those left over.

    Args:
        program: a graph that calls ATen operators, as `ExportedProgram.module()` gives.
        names: its tensors' names by storage address.
    """
    tensors = dict(program.named_buffers(remove_duplicate=False)) | dict(
        program.named_parameters(remove_duplicate=False)
    )
    origins = {origin.path: origin for node in program.graph.nodes if (origin := _origin(node)) is not None}
    layers: dict[str, NormLayer] = {}
    for layer in _called(program, names, tensors):
        layers.setdefault(layer.name, layer)
    for layer in _decomposed(origins, tensors, names):
        layers.setdefault(layer.name, layer)
    return tuple(layers.values())


def _called(program: GraphModule, names: Mapping[int, str], tensors: Mapping[str, torch.Tensor]) -> Iterator[NormLayer]:
    for node in program.graph.nodes:
        kind = kind_of_operator(str(node.target)) if isinstance(node.target, torch._ops.OpOverload) else None
        if kind is None:
            continue
        arguments = arguments_of(node)
        origin = _origin(node)
        class_name = origin.class_name if origin is not None else ""
        roles = {role: tensor_of(arguments.get(role), program) for role in _ROLES}
        name = _name(roles, names, origin, node)
        layer = build_layer(
            name,
            # A decomposed InstanceNorm calls batch normalization on a reshaped input.
            kind_without_statistics(class_name) or kind,
            roles | {"num_batches_tracked": tensors.get(_join(name, "num_batches_tracked"))},
            eps=_number(arguments, "eps", "epsilon"),
            momentum=_number(arguments, "momentum", "exponential_average_factor"),
            trainable_class=updates_in_training(class_name),
        )
        yield replace(layer, by_input=layer.has_statistics and _in_training(node, arguments))


def _in_training(node: Node, arguments: Mapping[str, Any]) -> bool:
    """Whether the operator was called to normalize by its input and to update the statistics."""
    flags = (arguments.get("training"), arguments.get("use_input_stats"))
    return True in flags or "_with_update" in str(node.target)


def _decomposed(
    origins: Mapping[str, _Origin], tensors: Mapping[str, torch.Tensor], names: Mapping[int, str]
) -> Iterator[NormLayer]:
    """Layers without a normalization operator: frozen ones, user-written ones, unused ones."""
    paths = [name.rpartition(".")[0] for name in tensors if name.rpartition(".")[2] in ("running_mean", "weight")]
    for path in dict.fromkeys(paths):
        roles = {role: tensors.get(_join(path, role)) for role in (*_ROLES, "num_batches_tracked")}
        mean, class_name = roles["running_mean"], origins[path].class_name if path in origins else ""
        if mean is not None and roles["running_var"] is not None:
            if names.get(mean.data_ptr()) == _join(path, "running_mean"):
                kind = kind_with_statistics(class_name or "BatchNorm")
                yield build_layer(path, kind, roles, trainable_class=updates_in_training(class_name))
        elif (stateless := kind_without_statistics(class_name)) is not None:
            yield build_layer(path, stateless, roles)


def arguments_of(node: Node) -> dict[str, Any]:
    """The operator's arguments by name, as its schema has them."""
    schema: Any = node.target._schema  # type: ignore[union-attr]  # the caller looked: an OpOverload
    declared = [argument.name for argument in schema.arguments]
    return dict(zip(declared, node.args, strict=False)) | node.kwargs


def tensor_of(argument: Any, program: GraphModule) -> torch.Tensor | None:
    """The parameter or buffer an argument comes from, also through `repeat`, `view` or a copy; else `None`."""
    while isinstance(argument, Node):
        if argument.op == "get_attr":
            found = operator.attrgetter(str(argument.target))(program)
            return found if isinstance(found, torch.Tensor) else None
        if argument.op != "call_function" or not argument.args:
            return None
        argument = argument.args[0]
    return None


def _name(
    roles: Mapping[str, torch.Tensor | None], names: Mapping[int, str], origin: _Origin | None, node: Node
) -> str:
    for role in ("running_mean", "weight"):
        tensor = roles[role]
        if tensor is not None and tensor.data_ptr() in names:
            return names[tensor.data_ptr()].rpartition(".")[0]
    return origin.path if origin is not None else node.name


def _origin(node: Node) -> _Origin | None:
    """The innermost module of the node; classes are kept as dotted names."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    path, kind = list(stack.values())[-1]
    dotted = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return _Origin(str(path).partition("@")[0], dotted.rpartition(".")[2])


def _number(arguments: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        if isinstance(arguments.get(name), (int, float)):
            return float(arguments[name])
    return None


def _join(path: str, leaf: str) -> str:
    return f"{path}.{leaf}" if path else leaf
