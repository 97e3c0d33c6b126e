"""The wiring of a TorchScript program: its graph, with what evaluation decides decided."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from bncheck.formats.torchscript.graph import NO_SCHEMA
from bncheck.formats.tracing.tracing import Tracing
from bncheck.formats.tracing.values import Value
from bncheck.formats.wiring.drawing import UNREADABLE
from bncheck.formats.wiring.steps import Fed, Wiring

_LISTS = ("prim::ListConstruct", "prim::TupleConstruct")
_UNPACKED = ("prim::ListUnpack", "prim::TupleUnpack")
_COMPARED: dict[str, Callable[..., Any]] = {
    "aten::eq": operator.eq,
    "aten::ne": operator.ne,
    "aten::lt": operator.lt,
    "aten::gt": operator.gt,
    "aten::le": operator.le,
    "aten::ge": operator.ge,
    "aten::__not__": operator.not_,
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::len": len,
}
_UNKNOWN = object()
_PLAIN = (bool, int, float, str, type(None), list)
_PASSED = ("aten::Int", "aten::Float", "prim::NumToTensor", "prim::unchecked_cast", "aten::ScalarImplicit")


def wiring_of_script(program: torch.jit.ScriptModule, names: Mapping[int, str]) -> Wiring | None:
    """What feeds what in a scripted or traced module; `None` where it cannot be followed.

    Nothing of it is run: which branch is taken is told by the module's own settings and by how many axes values have.

    Args:
        program: in eval mode; it is left as it is.
        names: its tensors' names by storage address.
    """
    with contextlib.suppress(*UNREADABLE):
        graph = operator.attrgetter("inlined_graph")(program)
        tracing = Tracing(dict(names))
        for place, value in enumerate(graph.inputs()):
            fed = place > 0 or not str(value.type()).startswith("__torch__")
            tracing.hold(value.debugName(), Value(tracing.drawing.put(Fed())) if fed else None)
        for node in graph.nodes():
            _follow(tracing, node, program)
        return tracing.drawing.finished()
    return None


def _follow(tracing: Tracing, node: Any, program: torch.jit.ScriptModule) -> None:
    kind = node.kind()
    outputs = [value.debugName() for value in node.outputs()]
    inputs = [value.debugName() for value in node.inputs()]
    if kind in _LISTS:
        tracing.hold(outputs[0], [tracing.what(name) for name in inputs])
    elif kind in _UNPACKED:
        held = tracing.what(inputs[0])
        parts = held if isinstance(held, list) and len(held) == len(outputs) else [None] * len(outputs)
        for name, part in zip(outputs, parts, strict=True):
            tracing.hold(name, Value(tracing.drawing.lost()) if part is None else part)
    elif kind == "prim::ConstantChunk":
        parts = _chunks(tracing, inputs[0], node.i("chunks"), node.i("dim"))
        for place, name in enumerate(outputs):
            tracing.hold(name, parts[place] if place < len(parts) else Value(tracing.drawing.lost()))
    elif kind == "prim::GetAttr":
        tracing.hold(outputs[0], _attribute(node, program))
    elif kind == "prim::Constant":
        value = node.outputsAt(0).toIValue()
        tracing.hold(outputs[0], value.detach() if isinstance(value, torch.Tensor) else value)
    elif kind == "prim::If" and isinstance(tracing.what(inputs[0]), bool):
        _branch(tracing, node, program, 0 if tracing.what(inputs[0]) else 1)
    elif kind in _COMPARED and _are_plain(tracing, kind, inputs):
        tracing.hold(outputs[0], _COMPARED[kind](*map(tracing.what, inputs)))
    elif kind in _PASSED:
        tracing.hold(outputs[0], tracing.what(inputs[0]))
    elif node.schema() == NO_SCHEMA or next(node.blocks(), None) is not None:
        for name in outputs:
            tracing.hold(name, Value(tracing.drawing.lost()))
    else:
        _call(tracing, node, inputs, outputs)


def _are_plain(tracing: Tracing, kind: str, inputs: Sequence[str]) -> bool:
    """Whether they can be compared now: numbers and words; whether anything is None, of what is known."""
    held = [tracing.what(name, _UNKNOWN) for name in inputs]
    if kind in ("aten::__is__", "aten::__isnot__"):
        return not any(one is _UNKNOWN for one in held)
    return all(isinstance(one, _PLAIN) for one in held)


def _branch(tracing: Tracing, node: Any, program: torch.jit.ScriptModule, which: int) -> None:
    """The branch that is taken: how many axes a value has decides, which convolutions tell."""
    block = list(node.blocks())[which]
    for inner in block.nodes():
        _follow(tracing, inner, program)
    for given, made in zip(node.outputs(), block.outputs(), strict=True):
        tracing.hold(given.debugName(), tracing.what(made.debugName()))


def _chunks(tracing: Tracing, source: str, chunks: int, axis: int) -> list[Any]:
    """The parts that a value is cut into; the compiler has an operator of its own for that."""
    given = {"self": tracing.what(source), "chunks": chunks, "dim": axis}
    found = tracing.call(torch.ops.aten.chunk.default, given, {})
    return found if isinstance(found, list) else []


def _call(tracing: Tracing, node: Any, inputs: list[str], outputs: list[str]) -> None:
    schema = torch._C.parse_schema(node.schema())
    declared = [argument.name for argument in schema.arguments]
    keys = dict(zip(declared, inputs, strict=False))
    given = {name: tracing.what(key) for name, key in keys.items()}
    if node.kind() in ("aten::__getitem__", "aten::select") and isinstance(given.get(declared[0]), list):
        held, place = given[declared[0]], given.get(declared[1])
        found = held[place] if isinstance(place, int) and -len(held) <= place < len(held) else None
        tracing.hold(outputs[0], Value(tracing.drawing.lost()) if found is None else found)
        return
    meant = tracing.call(_overload(schema), given, keys)
    parts = meant if isinstance(meant, list | tuple) and len(outputs) > 1 else [meant]
    for place, name in enumerate(outputs):
        base = Tracing.viewed(schema, keys) if len(outputs) == 1 else None
        tracing.hold(name, parts[place] if place < len(parts) else Value(tracing.drawing.lost()), base)


def _overload(schema: Any) -> Any:
    """The operator by its schema, which computes constants; the schema alone of one that is not registered."""
    space, _, name = schema.name.partition("::")
    packet = getattr(getattr(torch.ops, space), name, None)
    return getattr(packet, schema.overload_name or "default", schema) if packet is not None else schema


def _attribute(node: Any, program: torch.jit.ScriptModule) -> Any:
    """The value of an attribute that was not frozen; `None` for a part of the module."""
    parts, value = [], node.outputsAt(0)
    while value.node().kind() == "prim::GetAttr":
        parts.append(value.node().s("name"))
        value = next(value.node().inputs())
    found = operator.attrgetter(".".join(reversed(parts)))(program)
    return found.detach() if isinstance(found, torch.Tensor) else found
