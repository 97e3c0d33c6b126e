"""Copies of an ONNX graph that tell what its BatchNormalization nodes are fed.

Only sums leave the runtime, never the activations: of every node's input, (N, C, *spatial), seen as
(N, C, blocks, values), the mean and the sum of squares of each block. The user's file is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from bncheck.formats.onnx.graph import OnnxGraph
from bncheck.formats.onnx.running.building import Builder, compute_type, element_types
from bncheck.formats.onnx.running.replacing import Replaced, replaced
from bncheck.formats.onnx.running.tap_names import (
    BLOCKS,
    CENTRE,
    CENTRED_SQUARES,
    CHANNELS,
    MEAN,
    REST,
    SHAPE,
    SQUARES,
    STORED_MEAN,
    STORED_VAR,
    VARIANCE,
)


def with_taps(graph: OnnxGraph) -> onnx.ModelProto:
    """A copy whose statistics are inputs, and which gives the moments of every sample and channel.

    Further inputs of each node: `STORED_MEAN` and `STORED_VAR`, (C,); `BLOCKS`, the shape (0, 0, k, -1)
    that parts a sample's values into k blocks; `CHANNELS`, those to be read a second time, centred.

    Folded operations are left as they are: they normalize by what was folded in, whatever is fed.
    """
    builder = Builder(graph)
    for node, number in builder.normalizing_nodes():
        at = replaced(builder, node, number, as_shipped=True)
        with builder.aside():
            _tell(builder, at)
        if at.answers:
            at.normalize(builder.input(at.name(STORED_MEAN), at.type), builder.input(at.name(STORED_VAR), at.type))
    return builder.finished()


def _tell(builder: Builder, at: Replaced) -> None:
    """Give the moments of what is tapped at a node."""
    rows = builder.node("Reshape", [at.tapped, builder.input(at.name(BLOCKS), TensorProto.INT64)], at.name("rows"))
    builder.output(builder.reduce("ReduceMean", rows, [3], at.name(MEAN)), at.type)
    builder.output(builder.sum_of_squares(rows, [3], at.name(SQUARES)), at.type)
    builder.output(builder.node("Shape", [rows], at.name(SHAPE)), TensorProto.INT64)
    channels = builder.input(at.name(CHANNELS), TensorProto.INT64)
    chosen = builder.node("Gather", [rows, channels], at.name("chosen"), axis=1)
    centre = builder.reduce("ReduceMean", chosen, [2, 3], at.name(CENTRE), keepdims=1)
    deviations = builder.node("Sub", [chosen, centre], at.name("deviations"))
    builder.output(centre, at.type)
    builder.output(builder.reduce("ReduceMean", deviations, [3], at.name(REST)), at.type)
    builder.output(builder.sum_of_squares(deviations, [3], at.name(CENTRED_SQUARES)), at.type)


def with_given_statistics(graph: OnnxGraph) -> onnx.ModelProto:
    """A copy whose statistics are inputs, `STORED_MEAN` and `STORED_VAR` of each node, and which tells nothing."""
    builder = Builder(graph)
    for node, number in builder.normalizing_nodes():
        at = replaced(builder, node, number)
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
    builder = Builder(graph)
    for node, number in builder.normalizing_nodes():
        at = replaced(builder, node, number)
        rows = builder.node("Reshape", [at.fed(), builder.constant("rows", [0, 0, -1])], at.name("rows"))
        samples = builder.reduce("ReduceMean", rows, [2], at.name("samples"), keepdims=1)
        centre = builder.reduce("ReduceMean", samples, [0], at.name("centre"), keepdims=1)
        deviations = builder.node("Sub", [rows, centre], at.name("deviations"))
        squares = builder.sum_of_squares(deviations, [2], at.name(SQUARES))
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
    return [compute_type(producers[norm.output], types) for norm in graph.nodes]
