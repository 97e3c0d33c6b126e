"""The convolutions and linear layers of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from bncheck.core import PRECISION, FloatArray, in_float64
from bncheck.formats.folding import AffineOperation
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.graph import DEFAULT_DOMAINS
from bncheck.formats.quantization import computes_in_steps

_PASSING = {"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""What passes values on as they are."""
_PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def affine_operations(proto: onnx.ModelProto, opset: int) -> tuple[AffineOperation, ...]:
    """Every Conv, ConvTranspose, Gemm and MatMul with constant weights, in running order.

    Constants that the nodes behind it multiply by or add may belong to it: its longer readings. Quantized weights
    are left out: what rounding to 8 bits leaves of a layer does not tell its statistics.
    """
    reader = _Reader(proto, opset)
    found = (reader.operation(node) for node in proto.graph.node if _multiplies(node))
    return tuple(operation for operation in found if operation is not None)


def first_operation(proto: onnx.ModelProto, opset: int) -> AffineOperation | None:
    """The first of these, if it is fed what the graph is fed, in another layout or type at the most."""
    node = next((node for node in proto.graph.node if _multiplies(node)), None)
    if node is None or len(node.input) < 2 or not _is_fed_by_input(node.input[0], proto.graph):
        return None
    return _Reader(proto, opset).operation(node)


def _is_fed_by_input(name: str, graph: onnx.GraphProto) -> bool:
    makers = {output: node for node in graph.node for output in node.output}
    for _ in range(len(graph.node)):
        maker = makers.get(name)
        if maker is None or maker.op_type not in _PASSING or not maker.input:
            break
        name = maker.input[0]
    return any(name == value.name for value in graph.input)


class _Reader:
    """Reads the operations of a graph."""

    def __init__(self, proto: onnx.ModelProto, opset: int) -> None:
        self._proto = proto
        self._constants = Constants([proto.graph], opset)
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in proto.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def operation(self, node: onnx.NodeProto) -> AffineOperation | None:
        """The operation with its longer readings; `None` where its weights are not known."""
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        weight = self._constants.value(node.input[1])
        if weight is None or weight.ndim < 2 or not weight.size or not _is_floating(weight.dtype):
            return None
        if self.is_quantized(node):
            return None
        types, _ = self._constants.made_of(node.input[1]) or (set(), set())
        precision = max(PRECISION[name] for name in {*types, str(weight.dtype)} if name in PRECISION)
        if node.op_type == "Gemm":
            if attributes.get("transA", 0) or weight.ndim != 2:
                return None
            weight = (weight if attributes.get("transB", 0) else weight.T) * attributes.get("alpha", 1.0)
        elif node.op_type == "MatMul":
            if weight.ndim != 2 or self._ranks.get(node.output[0]) != 2:
                return None  # with further axes the channels come last, where no such layer looks for them
            weight = weight.T
        transposed = node.op_type == "ConvTranspose"
        groups = int(attributes.get("group", 1)) if transposed else 1
        if groups < 1 or weight.shape[0] % groups:
            return None
        bare = AffineOperation(
            node.output[0], node.input[1], weight, None, transposed=transposed, groups=groups, precision=precision
        )
        if len(node.input) > 2 and node.input[2]:
            bias = _bias(self._constants.channel_values(node.input[2]), bare.channels)
            if bias is None:
                return None
            bare = replace(bare, bias=bias * attributes.get("beta", 1.0))
        return replace(bare, longer=tuple(self._continued(bare)))

    def is_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether the weight of an operation has been through numbers of 8 bits or less."""
        origin = self._constants.made_of(node.input[1])
        if origin is None:
            return False
        types, operators = origin
        return computes_in_steps(operators) or not all(map(_is_common, types))

    @cached_property
    def _ranks(self) -> dict[str, int]:
        """How many axes the tensors between the nodes have, as far as that can be inferred."""
        try:
            graph = onnx.shape_inference.infer_shapes(self._proto).graph
        except Exception:  # noqa: BLE001  # operators of other domains, or over 2 GiB: what is declared has to do
            graph = self._proto.graph
        values = (*graph.value_info, *graph.input, *graph.output)
        shapes = {value.name: value.type.tensor_type for value in values}
        return {name: len(kind.shape.dim) for name, kind in shapes.items() if kind.HasField("shape")}

    def _continued(self, operation: AffineOperation) -> Iterator[AffineOperation]:
        """The operation with the constants that one node behind it multiplies by, or adds, after the other."""
        scaled = False
        while (step := self._next(operation, multiplications=not scaled)) is not None:
            node, constant = step
            scaled = node.op_type == "Mul"
            operation = _scaled(operation, constant) if scaled else replace(operation, bias=operation.offset + constant)
            operation = replace(operation, key=node.output[0])
            yield operation
            if not scaled:
                return

    def _next(self, operation: AffineOperation, *, multiplications: bool) -> tuple[onnx.NodeProto, FloatArray] | None:
        """A node that adds one constant per output channel to what the operation gives, or multiplies it by one."""
        wanted = ("Mul", "Add") if multiplications else ("Add",)
        for node in self._readers.get(str(operation.key), []):
            others = [name for name in node.input if name != operation.key]
            if node.op_type in wanted and len(others) == 1:
                constant = _per_channel(self._constants.value(others[0]), operation)
                if constant is not None:
                    return node, constant
        return None


def _bias(values: FloatArray | None, channels: int) -> FloatArray | None:
    """One number per channel, of a bias of so many or of one; `None` for others."""
    if values is None or values.size not in (1, channels):
        return None
    return np.broadcast_to(values, (channels,))


def _scaled(operation: AffineOperation, factors: FloatArray) -> AffineOperation:
    """The operation with every output channel multiplied by its factor."""
    weight = operation.weight
    if operation.transposed:
        inputs, outputs = weight.shape[:2]
        spatial = (1,) * (weight.ndim - 2)
        each = np.repeat(factors.reshape(operation.groups, 1, outputs), inputs // operation.groups, axis=1)
        shaped = each.reshape(inputs, outputs, *spatial)
    else:
        shaped = factors.reshape(-1, *(1,) * (weight.ndim - 1))
    return replace(operation, weight=weight * shaped, bias=None if operation.bias is None else operation.bias * factors)


def _per_channel(value: npt.NDArray[Any] | None, operation: AffineOperation) -> FloatArray | None:
    """A constant that holds one number, or one per output channel; `None` for others."""
    if value is None or not _is_floating(value.dtype):
        return None
    if value.size == 1:
        return np.broadcast_to(in_float64(value).reshape(-1), (operation.channels,))
    spatial = operation.weight.ndim - 2
    shape = value.shape[max(value.ndim - spatial - 1, 0) :]
    if value.size != operation.channels or shape != (operation.channels, *(1,) * spatial):
        return None
    return in_float64(value).reshape(-1)


def hidden_forms(proto: onnx.ModelProto, opset: int) -> tuple[str, ...]:
    """What convolutions and linear layers are stored as whose weights tell nothing: quantized, fused with others."""
    reader = _Reader(proto, opset)
    forms: dict[str, None] = {}
    for node in proto.graph.node:
        of_integers = not _converts(node) and computes_in_steps([node.op_type])
        if of_integers or (_multiplies(node) and reader.is_quantized(node)):
            forms["quantized"] = None
        elif node.domain not in DEFAULT_DOMAINS and any(name in node.op_type for name in _PRODUCTS):
            forms[f"{node.domain}.{node.op_type}"] = None
    return tuple(forms)


def _converts(node: onnx.NodeProto) -> bool:
    """Whether it only changes how values are written, which hides no weight by itself."""
    return node.op_type in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def _multiplies(node: onnx.NodeProto) -> bool:
    return node.op_type in _PRODUCTS and node.domain in DEFAULT_DOMAINS


def coarsest_precision(proto: onnx.ModelProto) -> float:
    """Spacing of the numbers around 1 in the coarsest type of floats that a tensor is stored in."""
    kinds = {str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)) for tensor in proto.graph.initializer}
    return max((PRECISION[kind] for kind in kinds if kind in PRECISION), default=PRECISION["float32"])


def _is_common(dtype: str) -> bool:
    """Whether it is a type of floats that models are trained in, or of sizes and axes."""
    return dtype in PRECISION or dtype in ("int32", "int64", "bool")


def _is_floating(dtype: npt.DTypeLike) -> bool:
    return str(dtype) in PRECISION
