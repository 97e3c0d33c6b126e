"""Copies of an ONNX graph that tell what its BatchNormalization nodes are fed.

Only sums leave the runtime, never the activations: of every node's input, (N, C, *spatial), the mean and the sum of
squares of each sample and channel, added up block by block. The user's file is not touched.
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
from bncheck.watch import CANCELLATION

_CHOOSES = 11
"""The operator set from which a graph can find channels and put numbers of theirs in the place of others."""


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
    rows = _in_blocks(builder, at, at.tapped)
    channels = builder.input(at.name(CHANNELS), TensorProto.INT64)
    chosen = builder.node("Gather", [rows, channels], at.name("chosen"), axis=1)
    centre = builder.mean(chosen, [2], at.name(CENTRE))
    column = builder.node("Reshape", [centre, builder.constant("columns", [0, 0, 1, 1])], at.name("column"))
    deviations = builder.node("Sub", [chosen, column], at.name("deviations"))
    for told in (
        builder.mean(rows, [2], at.name(MEAN)),
        builder.sum_of_squares(rows, [2], at.name(SQUARES)),
        centre,
        builder.mean(deviations, [2], at.name(REST)),
        builder.sum_of_squares(deviations, [2], at.name(CENTRED_SQUARES)),
    ):
        builder.output(told, at.type)


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
    """A copy whose nodes normalize by the batch, and which gives the mean and (biased) variance they use, (C,).

    A further input of each node: `BLOCKS`, as of `with_taps`.
    """
    builder = Builder(graph)
    for node, number in builder.normalizing_nodes():
        at = replaced(builder, node, number)
        rows = _in_blocks(builder, at, at.fed())
        mean = builder.mean(rows, [0, 2], at.name(MEAN))
        variance = _variance(builder, at, rows, mean)
        builder.output(mean, at.type)
        builder.output(variance, at.type)
        at.normalize(mean, variance)
    return builder.finished()


def _in_blocks(builder: Builder, at: Replaced, tensor: str) -> str:
    """What a node is fed as (N, C, blocks, values); `SHAPE` tells the four."""
    rows = builder.node("Reshape", [tensor, builder.input(at.name(BLOCKS), TensorProto.INT64)], at.name("rows"))
    builder.output(builder.node("Shape", [rows], at.name(SHAPE)), TensorProto.INT64)
    return rows


def _variance(builder: Builder, at: Replaced, rows: str, mean: str) -> str:
    """The variance of each channel about `mean`: a difference of squares, centred where that would lose digits."""
    parts = builder.node("Gather", [at.name(SHAPE), builder.constant("summed", [0, 2, 3])], at.name("parts"))
    count = builder.node("ReduceProd", [parts], at.name("positions"), keepdims=0)
    divisor = builder.node("Cast", [count], at.name("divisor"), to=at.type)

    def squares(values: str, output: str) -> str:
        return builder.node("Div", [builder.sum_of_squares(values, [0, 2], f"{output}.sum"), divisor], output)

    def about(values: str, centre: str, output: str) -> str:
        column = builder.node("Reshape", [centre, builder.constant("column", [-1, 1, 1])], at.name("column"))
        return squares(builder.node("Sub", [values, column], at.name("deviations")), output)

    if builder.opset < _CHOOSES:
        return about(rows, mean, at.name(VARIANCE))
    raw, square = squares(rows, at.name(SQUARES)), builder.node("Mul", [mean, mean], at.name("square"))
    share = builder.number(CANCELLATION / (1 + CANCELLATION), at.type)
    limit = builder.node("Mul", [raw, share], at.name("limit"))
    # What is not finite is centred too: squares overflow before deviations do.
    small = builder.node("Less", [square, limit], at.name("small"))
    large = builder.node("NonZero", [builder.node("Not", [small], at.name("large"))], at.name("which"))
    channels = builder.node("Reshape", [large, builder.constant("flat", [-1])], at.name(CHANNELS))
    chosen = builder.node("Gather", [rows, channels], at.name("chosen"), axis=1)
    centre = builder.node("Gather", [mean, channels], at.name(CENTRE))
    exact = about(chosen, centre, at.name(CENTRED_SQUARES))
    difference = builder.node("Sub", [raw, square], at.name("difference"))
    return builder.node("ScatterElements", [difference, channels, exact], at.name(VARIANCE))


def compute_types(graph: OnnxGraph) -> list[int]:
    """The type each node computes in: its own, where its tensors share one that keeps the moments exact."""
    types = element_types(graph.proto)
    producers = {name: node for node in graph.proto.graph.node for name in node.output}
    return [compute_type(producers[norm.output], types) for norm in graph.nodes]
