"""Copies of an ONNX graph that tell what its BatchNormalization nodes are fed.

Only sums leave the runtime, never the activations: of every node's input, (N, C, *spatial), seen as
(N, C, blocks, values), the mean and the sum of squares of each block. The user's file is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from bncheck.formats.folding import Fold
from bncheck.formats.onnx.graph import OnnxGraph

_AXES_AS_INPUT = 18
"""The operator set from which ReduceMean and ReduceSumSquare take their axes as an input."""

MEAN, SQUARES, SHAPE, VARIANCE = "mean", "squares", "shape", "variance"
CENTRE, REST, CENTRED_SQUARES = "centre", "rest", "centred_squares"
STORED_MEAN, STORED_VAR, BLOCKS, CHANNELS = "stored_mean", "stored_var", "blocks", "channels"
STORED_TAPS = (MEAN, SQUARES, SHAPE, CENTRE, REST, CENTRED_SQUARES)
BATCH_TAPS = (MEAN, VARIANCE, SHAPE)


def tap_name(what: str, number: int) -> str:
    """The tensor `what` of the node of that number."""
    return f"bncheck::{what}.{number}"


def with_taps(graph: OnnxGraph, *, as_shipped: bool = False) -> onnx.ModelProto:
    """A copy whose statistics are inputs, and which gives the moments of every sample and channel.

    Further inputs of each node: `STORED_MEAN` and `STORED_VAR`, (C,); `BLOCKS`, the shape (0, 0, k, -1)
    that parts a sample's values into k blocks; `CHANNELS`, those to be read a second time, centred.

    Args:
        graph: the model.
        as_shipped: leave folded operations as they are: they normalize by what was folded in, whatever is fed.
    """
    builder = _Builder(graph)
    for node, number in builder.normalizing_nodes():
        at = _at(builder, node, number, as_shipped=as_shipped)
        rows = builder.node("Reshape", [at.tapped, builder.input(at.name(BLOCKS), TensorProto.INT64)], at.name("rows"))
        builder.output(builder.reduce("ReduceMean", rows, [3], at.name(MEAN)), at.type)
        builder.output(builder.reduce("ReduceSumSquare", rows, [3], at.name(SQUARES)), at.type)
        builder.output(builder.node("Shape", [rows], at.name(SHAPE)), TensorProto.INT64)
        channels = builder.input(at.name(CHANNELS), TensorProto.INT64)
        chosen = builder.node("Gather", [rows, channels], at.name("chosen"), axis=1)
        centre = builder.reduce("ReduceMean", chosen, [2, 3], at.name(CENTRE), keepdims=1)
        deviations = builder.node("Sub", [chosen, centre], at.name("deviations"))
        builder.output(centre, at.type)
        builder.output(builder.reduce("ReduceMean", deviations, [3], at.name(REST)), at.type)
        builder.output(builder.reduce("ReduceSumSquare", deviations, [3], at.name(CENTRED_SQUARES)), at.type)
        if at.answers:
            at.normalize(builder.input(at.name(STORED_MEAN), at.type), builder.input(at.name(STORED_VAR), at.type))
    return builder.finished()


def with_constants(copy: onnx.ModelProto, values: Mapping[str, npt.NDArray[Any]]) -> onnx.ModelProto:
    """A copy whose inputs named in `values` are constants, which the runtime can optimise."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(copy)
    inputs = [value for value in copy.graph.input if value.name not in values]
    del fixed.graph.input[:]
    fixed.graph.input.extend(inputs)
    declared = {value.name for value in copy.graph.input}
    constants = (numpy_helper.from_array(value, name) for name, value in values.items() if name in declared)
    fixed.graph.initializer.extend(constants)
    return fixed


def with_batch_statistics(graph: OnnxGraph) -> onnx.ModelProto:
    """A copy whose nodes normalize by the batch, and which gives the mean and (biased) variance they use, (C,)."""
    builder = _Builder(graph)
    for node, number in builder.normalizing_nodes():
        at = _at(builder, node, number)
        rows = builder.node("Reshape", [at.fed(), builder.constant("rows", [0, 0, -1])], at.name("rows"))
        samples = builder.reduce("ReduceMean", rows, [2], at.name("samples"), keepdims=1)
        centre = builder.reduce("ReduceMean", samples, [0], at.name("centre"), keepdims=1)
        deviations = builder.node("Sub", [rows, centre], at.name("deviations"))
        squares = builder.reduce("ReduceSumSquare", deviations, [2], at.name(SQUARES))
        average = builder.reduce("ReduceMean", squares, [0], at.name("average"))
        shape = builder.node("Shape", [rows], at.name(SHAPE))
        positions = builder.node("Gather", [shape, builder.constant("last", 2)], at.name("positions"))
        divisor = builder.node("Cast", [positions], at.name("divisor"), to=at.type)
        variance = builder.node("Div", [average, divisor], at.name(VARIANCE))
        mean = builder.node("Reshape", [centre, builder.constant("flat", [-1])], at.name(MEAN))
        builder.output(mean, at.type)
        builder.output(variance, at.type)
        builder.output(shape, TensorProto.INT64)
        at.normalize(mean, variance)
    return builder.finished()


def compute_types(graph: OnnxGraph) -> list[int]:
    """The type each node computes in: its own, where its tensors share one that keeps the moments exact."""
    types = element_types(graph.proto)
    producers = {name: node for node in graph.proto.graph.node for name in node.output}
    return [_compute_type(producers[norm.output], types) for norm in graph.nodes]


class _Builder:
    """Collects the nodes of a copy in their order."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.types = element_types(graph.proto)
        self._graph = graph
        self._numbers = {norm.output: number for number, norm in enumerate(graph.nodes)}
        self._nodes: list[onnx.NodeProto] = []
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

    def has(self, name: str) -> bool:
        """Whether a node that gives `name` was added."""
        return any(name in node.output for node in self._nodes)

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; gives the name of its output."""
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def reduce(self, operator: str, x: str, axes: list[int], output: str, keepdims: int = 0) -> str:
        """Add a reduction, in the form of the graph's operator set."""
        if self._graph.opset < _AXES_AS_INPUT:
            return self.node(operator, [x], output, axes=axes, keepdims=keepdims)
        named = self.constant("axes_" + "_".join(map(str, axes)), axes)
        return self.node(operator, [x, named], output, keepdims=keepdims)

    def constant(self, name: str, value: int | list[int]) -> str:
        """A constant of whole numbers."""
        return self.values(f"bncheck::constant.{name}", np.asarray(value, dtype=np.int64))

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
        copy.graph.node.extend(self._nodes)
        copy.graph.input.extend(self._inputs)
        copy.graph.initializer.extend(self._constants.values())
        copy.graph.output.extend(self._outputs)
        return copy


class _At:
    """One node being replaced.

    Attributes:
        type: what it is to compute in.
        tapped: the tensor whose moments are told.
        answers: whether `normalize` is to be called.
    """

    answers = True

    def __init__(self, builder: _Builder, node: onnx.NodeProto, number: int) -> None:
        self._builder = builder
        self._node = node
        self._number = number
        self.type = _compute_type(node, builder.types)
        self.tapped = self._tapped()

    def _tapped(self) -> str:
        return self._cast(self._node.input[0], "input")

    def name(self, what: str) -> str:
        """The tensor `what` of this node."""
        return tap_name(what, self._number)

    def fed(self) -> str:
        """What the layer is fed."""
        return self.tapped

    def normalize(self, mean: str, variance: str) -> None:
        """Add the node itself, with these statistics; its output keeps its name and type."""
        scale, bias = (self._cast(self._node.input[at], what) for at, what in ((1, "scale"), (2, "bias")))
        epsilon = {a.name: a.f for a in self._node.attribute if a.name == "epsilon"}
        self._normalize([self.fed(), scale, bias, mean, variance], **epsilon)

    def _normalize(self, inputs: list[str], **epsilon: float) -> None:
        given = self._builder.types.get(self._node.input[0], self.type)
        output = self._node.output[0] if given == self.type else self.name("output")
        self._builder.node("BatchNormalization", inputs, output, **epsilon)
        if given != self.type:
            self._builder.node("Cast", [output], self._node.output[0], to=given)

    def _cast(self, tensor: str, what: str) -> str:
        if self._builder.types.get(tensor, self.type) == self.type:
            return tensor
        return self._builder.node("Cast", [tensor], self.name(what), to=self.type)


class _AtShippedFold(_At):
    """An operation that a layer was folded into, left as it is."""

    answers = False

    def _tapped(self) -> str:
        self._builder.keep(self._node)
        return self._cast(self._node.output[0], "input")


class _AtFold(_At):
    """An operation that a layer was folded into: the fold is undone, and the layer put behind it."""

    def _tapped(self) -> str:
        raw = self.name("folded")
        kept = onnx.NodeProto()
        kept.CopyFrom(self._node)
        kept.output[0] = raw
        self._builder.keep(kept)
        self._builder.types[raw] = self._builder.types.get(self._node.output[0], self.type)
        return self._cast(raw, "input")

    def fed(self) -> str:
        """The input of the layer, from the output of the operation."""
        slope, offset = self._fold().inverse()
        zeros, ones = np.zeros_like(slope), np.ones_like(slope)
        constants = [self._constant(f"unfold.{number}", v) for number, v in enumerate((slope, offset, zeros, ones))]
        return self._builder.node("BatchNormalization", [self.tapped, *constants], self.name("fed"), epsilon=0.0)

    def normalize(self, mean: str, variance: str) -> None:
        """Add the layer, with these statistics; its output keeps the operation's name and type."""
        layer = self._fold().layer
        gamma = np.ones(layer.channels) if layer.weight is None else layer.weight
        beta = np.zeros(layer.channels) if layer.bias is None else layer.bias
        scale, bias = self._constant("scale", gamma), self._constant("bias", beta)
        fed = self.name("fed") if self._builder.has(self.name("fed")) else self.fed()
        self._normalize([fed, scale, bias, mean, variance], epsilon=layer.eps or 0.0)

    def _fold(self) -> Fold:
        fold = self._builder.fold(self._number)
        if fold is None:
            raise ValueError(f"node {self._number} is no fold")
        return fold

    def _constant(self, what: str, values: npt.NDArray[np.float64]) -> str:
        dtype = np.float64 if self.type == TensorProto.DOUBLE else np.float32
        return self._builder.values(self.name(what), values.astype(dtype))


def _at(builder: _Builder, node: onnx.NodeProto, number: int, *, as_shipped: bool = False) -> _At:
    if builder.fold(number) is None:
        return _At(builder, node, number)
    return (_AtShippedFold if as_shipped else _AtFold)(builder, node, number)


def _compute_type(node: onnx.NodeProto, types: Mapping[str, int]) -> int:
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
