"""Collecting the nodes of a copy of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from bncheck.formats.folding import Fold
from bncheck.formats.onnx.graph import OnnxGraph

_AXES_AS_INPUT = {"ReduceSum": 13, "ReduceMean": 18, "ReduceSumSquare": 18}
"""The operator set from which a reduction takes its axes as an input."""


class Builder:
    """Collects the nodes of a copy in their order."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.types = element_types(graph.proto)
        self.opset = graph.opset
        self._graph = graph
        self._numbers = {norm.output: number for number, norm in enumerate(graph.nodes)}
        self._nodes: list[onnx.NodeProto] = []
        self._main = self._nodes
        self._aside: list[list[onnx.NodeProto]] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def normalizing_nodes(self) -> Iterable[tuple[onnx.NodeProto, int]]:
        """The nodes to be replaced, with their numbers; all others are taken over as they are."""
        for node in self._graph.proto.graph.node:
            number = self._numbers.get(node.output[0]) if node.output else None
            if number is None:
                self._nodes.append(node)
            else:
                yield node, number

    def keep(self, node: onnx.NodeProto) -> None:
        """Take a node over."""
        self._nodes.append(node)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Add nodes whose answers nothing else in the graph needs, so that they run as soon as they can.

        onnxruntime goes back from what nothing needs, the last of it first. Nodes aside come behind all others, those
        added first come last: else what they read, of every layer, would be held until the network itself is done.
        """
        self._nodes = []
        self._aside.append(self._nodes)
        try:
            yield
        finally:
            self._nodes = self._main

    def has(self, name: str) -> bool:
        """Whether a node that gives `name` was added."""
        return any(name in node.output for node in self._nodes)

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; gives the name of its output."""
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def reduce(self, operator: str, x: str, axes: list[int], output: str) -> str:
        """Add a reduction, in the form of the graph's operator set; the axes go."""
        if self.opset < _AXES_AS_INPUT[operator]:
            return self.node(operator, [x], output, axes=axes, keepdims=0)
        named = self.constant("axes_" + "_".join(map(str, axes)), axes)
        return self.node(operator, [x, named], output, keepdims=0)

    def mean(self, blocks: str, axes: list[int], output: str) -> str:
        """Add the mean of blocks of values, (N, C, blocks, values), over the values and those axes."""
        return self.reduce("ReduceMean", self.reduce("ReduceMean", blocks, [3], f"{output}.parts"), axes, output)

    def sum_of_squares(self, blocks: str, axes: list[int], output: str) -> str:
        """Add a sum of squares, of what `mean` takes.

        No square is written out. ReduceSumSquare adds one value to the last, which is exact in short runs only, and
        fast along the last axis alone; ReduceSum does not, so there may be any number of blocks.
        """
        return self.reduce("ReduceSum", self.reduce("ReduceSumSquare", blocks, [3], f"{output}.parts"), axes, output)

    def constant(self, name: str, value: int | list[int]) -> str:
        """A constant of whole numbers."""
        return self.values(f"bncheck::constant.{name}", np.asarray(value, dtype=np.int64))

    def number(self, value: float, element_type: int) -> str:
        """A constant of that type."""
        dtype = helper.tensor_dtype_to_np_dtype(element_type)
        return self.values(f"bncheck::number.{value}.{dtype}", np.asarray(value, dtype=dtype))

    def values(self, name: str, array: npt.NDArray[Any]) -> str:
        """A constant of that name."""
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def fold(self, number: int) -> Fold | None:
        """What there is to see through at the node of that number."""
        return self._graph.nodes[number].fold

    def input(self, name: str, element_type: int) -> str:
        """A further input, of rank 1."""
        self._inputs.append(helper.make_tensor_value_info(name, element_type, [None]))
        return name

    def output(self, name: str, element_type: int) -> None:
        """A further output."""
        self._outputs.append(helper.make_tensor_value_info(name, element_type, None))

    def finished(self) -> onnx.ModelProto:
        """The copy."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self._graph.proto)
        del copy.graph.node[:]
        copy.graph.node.extend(self._main)
        copy.graph.node.extend(node for nodes in reversed(self._aside) for node in nodes)
        copy.graph.input.extend(self._inputs)
        copy.graph.initializer.extend(self._constants.values())
        copy.graph.output.extend(self._outputs)
        return copy


def compute_type(node: onnx.NodeProto, types: Mapping[str, int]) -> int:
    """Float32, or double where one of the node's tensors is: half precision has no room for sums."""
    double = any(types.get(name) == TensorProto.DOUBLE for name in node.input)
    return TensorProto.DOUBLE if double else TensorProto.FLOAT


def element_types(proto: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor of the graph, as far as it can be inferred."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # noqa: BLE001  # operators of other domains, or over 2 GiB: what is declared has to do
        graph = proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    declared = {value.name: int(value.type.tensor_type.elem_type) for value in values}
    stored = {tensor.name: int(tensor.data_type) for tensor in proto.graph.initializer}
    return {name: kind for name, kind in (declared | stored).items() if kind}
