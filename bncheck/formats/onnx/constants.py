"""Values that a graph knows before it runs: initializers, constants, and what is computed from them alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bncheck.core import FloatArray
from bncheck.formats.onnx.graph import subgraphs


class Constants:
    """Looks values up by name, in a graph and in those around it (a body sees the names outside of it)."""

    def __init__(self, graphs: Sequence[onnx.GraphProto], opset: int) -> None:
        self._opset = opset
        self._values: dict[str, npt.NDArray[Any] | None] = {}
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        for graph in graphs:
            self._tensors.update((tensor.name, tensor) for tensor in graph.initializer)
            self._producers.update((name, node) for node in graph.node for name in node.output if name)

    def channel_values(self, name: str) -> FloatArray | None:
        """A read-only float64 copy, shape (C,); `None` where the value is not known before the graph runs."""
        value = self.value(name)
        if value is None:
            return None
        array = np.array(value, dtype=np.float64).reshape(-1)
        array.setflags(write=False)
        return array

    def value(self, name: str) -> npt.NDArray[Any] | None:
        """The value in the type it has where it is used; `None` where it depends on what the graph is fed."""
        if name in self._tensors:
            return numpy_helper.to_array(self._tensors[name])
        if name not in self._values:
            self._values[name] = self._computed(name)
        return self._values[name]

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

    def _computed(self, name: str) -> npt.NDArray[Any] | None:
        """What its node makes of constants: a copy, a cast, dequantization and the like."""
        node = self._producers.get(name)
        if node is None or any(subgraphs(node)):
            return None
        known: dict[str, npt.NDArray[Any]] = {}
        for given in filter(None, node.input):
            value = self.value(given)
            if value is None:
                return None
            known[given] = value
        return _run(node, name, known, self._opset)

    def dtype(self, name: str) -> str | None:
        """Name of the type it is stored in, as torch and numpy call it."""
        value = self.value(name)
        return None if value is None else str(value.dtype)


def _run(node: onnx.NodeProto, name: str, known: dict[str, npt.NDArray[Any]], opset: int) -> npt.NDArray[Any] | None:
    """What one node gives, by the reference implementation."""
    inputs = [
        helper.make_tensor_value_info(given, helper.np_dtype_to_tensor_dtype(known[given].dtype), None)
        for given in known
    ]
    graph = helper.make_graph([node], "constant", inputs, [helper.make_empty_tensor_value_info(name)])
    try:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        (value,) = ReferenceEvaluator(model).run([name], known)
    except Exception:  # noqa: BLE001  # an operator the reference does not know: the value is not known either
        return None
    return np.asarray(value)
