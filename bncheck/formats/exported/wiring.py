"""The wiring of an exported program: its graph of operators, node by node."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from bncheck.formats.exported.layers import arguments_of
from bncheck.formats.tracing.tracing import Tracing
from bncheck.formats.tracing.values import Value
from bncheck.formats.wiring.drawing import UNREADABLE
from bncheck.formats.wiring.steps import Fed, Wiring


def wiring_of_graph(program: GraphModule, names: Mapping[int, str]) -> Wiring | None:
    """What feeds what in `program`; `None` where it cannot be followed.

    Args:
        program: a graph that calls ATen operators.
        names: its tensors' names by storage address.
    """
    tracing = Tracing(dict(names))
    try:
        for node in program.graph.nodes:
            _follow(tracing, node, program)
    except UNREADABLE:  # a constant that cannot be computed
        return None
    return tracing.drawing.finished()


def _follow(tracing: Tracing, node: Node, program: GraphModule) -> None:
    shape = _shape(node)
    if node.op == "placeholder":
        channels = shape[1] if shape is not None and len(shape) > 1 and isinstance(shape[1], int) else None
        tracing.hold(node, Value(tracing.drawing.put(Fed(), channels)))
    elif node.op == "get_attr":
        found = operator.attrgetter(str(node.target))(program)
        lost = Value(tracing.drawing.lost())
        tracing.hold(node, found.detach() if isinstance(found, torch.Tensor) else lost)
    elif node.op == "call_function" and node.target is operator.getitem:
        _take(tracing, node)
    elif node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
        arguments = arguments_of(node)
        keys = {name: value for name, value in arguments.items() if isinstance(value, Node)}
        given = {name: _meant(tracing, value) for name, value in arguments.items()}
        first = next((value for value in arguments.values() if isinstance(value, Node)), None)
        before = None if first is None else _shape(first)
        meant = tracing.call(node.target, given, keys, (before, shape))
        tracing.hold(node, meant, Tracing.viewed(node.target, keys))
    elif node.op != "output":
        tracing.hold(node, Value(tracing.drawing.lost()))


def _take(tracing: Tracing, node: Node) -> None:
    """One of several results; of those of which one is followed it is the first."""
    whole, place = node.args
    held = tracing.what(whole) if isinstance(whole, Node) else None
    several = held if isinstance(held, list | tuple) else [held]
    known = isinstance(place, int) and -len(several) <= place < len(several)
    found = several[place] if known and isinstance(place, int) else None
    tracing.hold(node, Value(tracing.drawing.lost()) if found is None else found)


def _meant(tracing: Tracing, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_meant(tracing, one) for one in value]
    return tracing.what(value) if isinstance(value, Node) else value


def _shape(node: Node) -> Sequence[Any] | None:
    value: Any = node.meta.get("val")
    if isinstance(value, list | tuple) and value:
        value = value[0]
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
