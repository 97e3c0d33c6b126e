"""The graph of a TorchScript program: its nodes, and what is known of their arguments before it runs."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import torch

NO_SCHEMA = "(no schema)"
"""What a node that calls no operator gives for one."""


def operator_calls(program: torch.jit.ScriptModule) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every call of an operator: its name, and those of its arguments that are known before it runs, by name."""
    for node in nodes_of(program):
        if node.schema() != NO_SCHEMA:
            names, constants = given_to(node)
            attributes = {argument: operator.attrgetter(name)(program) for argument, name in names.items()}
            yield node.kind(), constants | attributes


def operator_kinds(program: torch.jit.ScriptModule) -> list[str]:
    """The kind of every node (`aten::conv2d`), also of those that are no operators."""
    return [node.kind() for node in nodes_of(program)]


def given_to(node: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """By argument: the dotted names of attributes, and the values of constants (`None` for all else)."""
    names: dict[str, str] = {}
    constants: dict[str, Any] = {}
    for argument, value in zip(torch._C.parse_schema(node.schema()).arguments, node.inputs(), strict=False):
        if (dotted := _attribute(value)) is not None:
            names[argument.name] = dotted
        else:
            constants[argument.name] = value.toIValue()
    return names, constants


def _attribute(value: Any) -> str | None:
    """The dotted path of an attribute of the module that was inlined; `None` for other values."""
    parts: list[str] = []
    while value.node().kind() == "prim::GetAttr":
        parts.append(value.node().s("name"))
        value = next(value.node().inputs())
    return ".".join(reversed(parts)) if parts else None


def convolves(program: torch.jit.ScriptModule) -> bool:
    """Whether a node convolves."""
    return any("conv" in node.kind() for node in nodes_of(program))


def nodes_of(program: torch.jit.ScriptModule) -> Iterator[Any]:
    """Every node of the program, called modules and branches included."""
    try:
        graph = operator.attrgetter("inlined_graph")(program)
    except (RuntimeError, AttributeError):
        return  # a module without a forward method
    pending = list(graph.nodes())
    while pending:
        node = pending.pop(0)
        yield node
        inner = [deeper for part in node.blocks() for deeper in part.nodes()]
        pending = inner + pending
