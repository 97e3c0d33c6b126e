"""Values that a graph knows before it runs: initializers, constants, and plain copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from bncheck.layers import FloatArray

_COPIES = ("Identity", "Cast")


class Constants:
    """Looks values up by name, in a graph and in those around it (a body sees the names outside of it)."""

    def __init__(self, graphs: Sequence[onnx.GraphProto]) -> None:
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
        """The value in the type it has where it is used; `None` where it is not known."""
        if name in self._tensors:
            return numpy_helper.to_array(self._tensors[name])
        node = self._producers.get(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            return _of_constant(node)
        if node.op_type not in _COPIES or node.input[0] == name:
            return None
        value = self.value(node.input[0])
        if value is not None and node.op_type == "Cast":
            target = next(attribute.i for attribute in node.attribute if attribute.name == "to")
            return value.astype(onnx.helper.tensor_dtype_to_np_dtype(target))
        return value

    def dtype(self, name: str) -> str | None:
        """Name of the type it is stored in, as torch and numpy call it."""
        value = self.value(name)
        return None if value is None else str(value.dtype)


def _of_constant(node: onnx.NodeProto) -> npt.NDArray[Any] | None:
    for attribute in node.attribute:
        if attribute.name == "value":
            return numpy_helper.to_array(attribute.t)
        if attribute.name in ("value_floats", "value_ints", "value_float", "value_int"):
            kind = np.float32 if "float" in attribute.name else np.int64
            return np.asarray(onnx.helper.get_attribute_value(attribute), dtype=kind)
    return None
