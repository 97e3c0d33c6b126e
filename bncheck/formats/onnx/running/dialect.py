"""What is changed about an ONNX model before it is run: types the CPU has no kernels for, a fixed batch size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from bncheck.core import THRESHOLDS, in_float64
from bncheck.errors import ModelError
from bncheck.formats.onnx.graph import OnnxGraph, all_tensors, graph_inputs, nodes_below
from bncheck.formats.onnx.running.loaded import LoadedModel
from bncheck.formats.onnx.running.weights import Weights, without_weights
from bncheck.results import BatchWidened, ComputedInFloat32, Note

_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "stash_type")
_IR_VERSIONS = 8, 10
"""Older ones list constants as inputs, which keeps them from being optimised; newer ones older runtimes refuse."""
_TRIED = 2
"""How many times the fixed batch size is tried at once."""
_LARGEST_TRIAL = 2**28
"""Bytes of random input that are tried; a program of larger batches is left as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """A graph as it is run.

    Attributes:
        graph: in types the CPU computes in, of any batch size where it can take that; its large weights named only.
        weights: these.
        fixed_batch: the only batch size it takes; `None` where any goes.
        notes: what was changed, for the reader of the report.
    """

    graph: OnnxGraph
    weights: Weights
    fixed_batch: int | None
    notes: tuple[Note, ...]


def adapted(graph: OnnxGraph, fixed_batch: int | None, path: str) -> Adapted:
    """The graph in a form that onnxruntime runs; `fixed_batch` is the only batch size it declares."""
    typed, notes = _in_types_of_the_cpu(graph, path)
    light, weights = without_weights(typed)  # before all else: each copy would have them once more
    light = in_known_version(light)
    widened = None if fixed_batch is None else with_any_batch(light, fixed_batch, path, weights)
    if widened is None or fixed_batch is None:
        return Adapted(light, weights, fixed_batch, notes)
    return Adapted(widened, weights, None, (*notes, BatchWidened(fixed_batch)))


def _in_types_of_the_cpu(graph: OnnxGraph, path: str) -> tuple[OnnxGraph, tuple[Note, ...]]:
    """In float32 where onnxruntime has no kernels: for bfloat16 hardly any, for double not all."""
    notes: tuple[Note, ...] = ()
    for name, element_type in (("bfloat16", TensorProto.BFLOAT16), ("double", TensorProto.DOUBLE)):
        if _declares(graph.proto, element_type) and not (name == "double" and _loads(graph, path)):
            notes += (ComputedInFloat32(name),)
            graph = in_float32(graph, element_type)
    return graph, notes


def _loads(graph: OnnxGraph, path: str) -> bool:
    try:
        LoadedModel(in_known_version(graph).proto, path)
    except ModelError:
        return False
    return True


def in_known_version(graph: OnnxGraph) -> OnnxGraph:
    """The graph in a version of the file format that every runtime reads, its initializers no longer inputs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    proto.ir_version = min(max(proto.ir_version, _IR_VERSIONS[0]), _IR_VERSIONS[1])
    wanted = {given.name for given in graph.inputs}
    inputs = [value for value in graph.proto.graph.input if value.name in wanted]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    return replace(graph, proto=proto)


def in_float32(graph: OnnxGraph, element_type: int) -> OnnxGraph:
    """The graph computing in float32 what it declares as `element_type`."""
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    for tensor in all_tensors(proto):
        if tensor.data_type == element_type:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for declared in _declared_types(proto):
        if declared.elem_type == element_type:
            declared.elem_type = TensorProto.FLOAT
    for attribute in _type_attributes(proto):
        if attribute.i == element_type:
            attribute.i = TensorProto.FLOAT
    return replace(graph, proto=proto, inputs=graph_inputs(proto.graph))


def _declares(proto: onnx.ModelProto, element_type: int) -> bool:
    return (
        any(tensor.data_type == element_type for tensor in all_tensors(proto))
        or any(declared.elem_type == element_type for declared in _declared_types(proto))
        or any(attribute.i == element_type for attribute in _type_attributes(proto))
    )


def with_any_batch(graph: OnnxGraph, size: int, path: str, weights: Weights) -> OnnxGraph | None:
    """The graph taking any number of samples instead of `size`; `None` where that is not the same network.

    It is tried out: what a larger batch gives has to be what its parts give, since a constant shape
    inside may mix samples without an error.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    for value in proto.graph.input:
        shape = value.type.tensor_type.shape
        if shape.dim and shape.dim[0].dim_value == size:
            shape.dim[0].dim_param = "bncheck_batch"
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    del proto.graph.value_info[:]
    widened = replace(graph, proto=proto, inputs=graph_inputs(proto.graph))
    samples = _samples(graph, size)
    if samples is None:
        return None
    try:
        session = LoadedModel(proto, path, weights)
        whole = session.run(samples, graph.outputs)
        parts = [session.run(_part(samples, start, size), graph.outputs) for start in range(0, _TRIED * size, size)]
    except Exception:  # noqa: BLE001  # whatever the runtime says: the graph does not take it
        return None
    agree = all(_agree(whole[name], [part[name] for part in parts]) for name in graph.outputs)
    return widened if agree else None


def _samples(graph: OnnxGraph, size: int) -> dict[str, npt.NDArray[Any]] | None:
    """Random inputs for several batches; `None` where the graph does not say their shape."""
    generator = np.random.default_rng(0)
    samples = {}
    room = _LARGEST_TRIAL
    for declared in graph.inputs:
        sizes = declared.shape[1:] if declared.shape else (None,)
        known = [number for number in sizes if number is not None]
        is_whole = bool(declared.shape) and len(known) == len(sizes) and declared.is_tensor
        if not is_whole or not declared.shape or declared.shape[0] != size:
            return None
        room -= _TRIED * size * math.prod(known) * np.dtype(np.float64).itemsize
        if room < 0:
            return None
        dtype = onnx.helper.tensor_dtype_to_np_dtype(declared.element_type)
        samples[declared.name] = generator.uniform(0, 1, (_TRIED * size, *known)).astype(dtype)
    return samples


def _part(samples: dict[str, npt.NDArray[Any]], start: int, size: int) -> dict[str, npt.NDArray[Any]]:
    return {name: array[start : start + size] for name, array in samples.items()}


def _agree(whole: Any, parts: list[Any]) -> bool:
    if not isinstance(whole, np.ndarray) or not all(np.ndim(part) for part in parts):
        return False
    joined = np.concatenate(parts)
    if whole.shape != joined.shape:
        return False
    tolerance = THRESHOLDS.widened_agreement * float(np.max(np.abs(joined), initial=0.0))
    return bool(np.allclose(in_float64(whole), in_float64(joined), rtol=0, atol=tolerance))


def _type_attributes(proto: onnx.ModelProto) -> Iterator[onnx.AttributeProto]:
    for outer in proto.graph.node:
        for node in (outer, *(inner for inner, _ in nodes_below(outer))):
            yield from (attribute for attribute in node.attribute if attribute.name in _TYPE_ATTRIBUTES)


def _declared_types(proto: onnx.ModelProto) -> Iterator[onnx.TypeProto.Tensor]:
    bodies = {id(body): body for node in proto.graph.node for _, body in nodes_below(node)}
    for graph in (proto.graph, *bodies.values()):
        for values in (graph.input, graph.output, graph.value_info):
            yield from (value.type.tensor_type for value in values)
