"""Values that a graph knows before it runs: initializers, constants, and what is computed from them alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bncheck.core import FloatArray
from bncheck.errors import ModelError
from bncheck.formats.declared import room
from bncheck.formats.onnx.graph import subgraphs
from bncheck.formats.onnx.soundness import bytes_of

_SMALL = 2**10
"""Values of a tensor that may be sizes and axes."""
_MOST_RUNS = 10_000
"""Nodes that are computed; no model has so many before its statistics."""


class Constants:
    """Looks values up by name, in a graph and in those around it (a body sees the names outside of it)."""

    def __init__(self, graphs: Sequence[onnx.GraphProto], opset: int) -> None:
        self._opset = opset
        self._values: dict[str, npt.NDArray[Any] | None] = {}
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._runs = 0
        for graph in graphs:
            self._tensors.update((tensor.name, tensor) for tensor in graph.initializer)
            self._producers.update((name, node) for node in graph.node for name in node.output if name)
        self._room = room(sum(map(bytes_of, self._tensors.values())))

    def channel_values(self, name: str) -> FloatArray | None:
        """A read-only float64 copy, shape (C,); `None` where the value is not known before the graph runs.

        Raises:
            ModelError: it is text, or complex.
        """
        value = self.value(name)
        if value is None:
            return None
        if value.dtype.kind in "cOSU":
            raise ModelError(f"{name} is of type {value.dtype}, and a layer's values are real numbers.")
        array = np.array(value, dtype=np.float64).reshape(-1)
        array.setflags(write=False)
        return array

    def value(self, name: str) -> npt.NDArray[Any] | None:
        """The value in the type it has where it is used; `None` where it depends on what the graph is fed."""
        if name in self._tensors:
            return _array(self._tensors[name])
        if name not in self._values:
            self._compute(name)
        return self._values[name]

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node that gives a value; `None` for what is stored, and for the graph's inputs."""
        return None if name in self._tensors else self._producers.get(name)

    def made_of(self, name: str) -> tuple[set[str], set[str]] | None:
        """Names of the types that a value is stored in, and of the operators it is computed with from there.

        `None` where it depends on what the graph is fed; it need not be known how to compute it.
        """
        types: set[str] = set()
        operators: set[str] = set()
        pending, seen = [name], {name}
        while pending:
            given = pending.pop()
            node = self._producers.get(given)
            if given in self._tensors or (node is not None and not any(node.input)):
                types.update(filter(None, [self.dtype(given)]))
            elif node is None or any(subgraphs(node)):
                return None
            else:
                operators.add(node.op_type)
                pending += [one for one in node.input if one and one not in seen]
                seen.update(node.input)
        return types, operators

    def _compute(self, name: str) -> None:
        """Find out a value and all that it is made of; by a list of what is pending, since chains may be long."""
        pending, begun = [name], set[str]()
        while pending:
            wanted = pending[-1]
            node = self._producers.get(wanted)
            given = [] if node is None else [one for one in node.input if one]
            unknown = [one for one in given if one not in self._tensors and one not in self._values]
            if wanted in self._values:
                pending.pop()
            elif node is None or any(subgraphs(node)) or (unknown and wanted in begun):  # the last: it leads to itself
                self._values[wanted] = None
            elif unknown:
                begun.add(wanted)
                pending += unknown
            else:
                self._values[wanted] = self._made(node, wanted, given)

    def _made(self, node: onnx.NodeProto, name: str, given: Sequence[str]) -> npt.NDArray[Any] | None:
        """What its node makes of constants: a copy, a cast, dequantization and the like."""
        known: dict[str, npt.NDArray[Any]] = {}
        for one in given:
            value = self.value(one)
            if value is None:
                return None
            known[one] = value
        if node.op_type == "Identity" and len(given) == 1:
            return known[given[0]]
        self._runs += 1
        value = _run(node, name, known, self._opset, self._room) if self._runs <= _MOST_RUNS else None
        self._room -= 0 if value is None else value.nbytes
        return value

    def dtype(self, name: str) -> str | None:
        """Name of the type it is stored in, as torch and numpy call it."""
        value = self.value(name)
        return None if value is None else str(value.dtype)


def _run(
    node: onnx.NodeProto, name: str, known: dict[str, npt.NDArray[Any]], opset: int, most: int
) -> npt.NDArray[Any] | None:
    """What one node gives, by the reference implementation; `None` of more than `most` bytes, or of unknown size."""
    try:
        inputs = [
            helper.make_tensor_value_info(given, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for given, value in known.items()
        ]
        sizes = [numpy_helper.from_array(value, given) for given, value in known.items() if value.size <= _SMALL]
        graph = helper.make_graph([node], "constant", inputs, [helper.make_empty_tensor_value_info(name)], sizes)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        if not _fits(model, name, most):
            return None
        del model.graph.initializer[:]
        with np.errstate(all="ignore"):  # constants may be of any size
            (value,) = ReferenceEvaluator(model).run([name], known)
    except Exception:  # noqa: BLE001  # an operator the reference does not know: the value is not known either
        return None
    return np.asarray(value)


def _fits(model: onnx.ModelProto, name: str, most: int) -> bool:
    """Whether the output of that name is inferred to be no larger."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    declared = next(value.type.tensor_type for value in inferred.output if value.name == name)
    sizes = [size.dim_value if size.HasField("dim_value") else None for size in declared.shape.dim]
    known = [size for size in sizes if size is not None]
    if not declared.HasField("shape") or len(known) < len(sizes):
        return False
    each = int(helper.tensor_dtype_to_np_dtype(declared.elem_type).itemsize)
    return math.prod(map(int, known)) * each <= most


def _array(tensor: onnx.TensorProto) -> npt.NDArray[Any]:
    """The values of a tensor; text that is no UTF-8 with replacements."""
    if tensor.data_type == onnx.TensorProto.STRING:
        text = [entry.decode("utf-8", "replace") for entry in tensor.string_data]
        return np.asarray(text, dtype=object).reshape(tuple(tensor.dims))
    return numpy_helper.to_array(tensor)
