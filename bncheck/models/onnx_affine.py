"""The convolutions and linear layers of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from bncheck.folding import AffineOperation
from bncheck.layers import PRECISION, FloatArray
from bncheck.models.onnx_constants import Constants

_QUANTIZING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def affine_operations(proto: onnx.ModelProto, opset: int) -> tuple[AffineOperation, ...]:
    """Every Conv, ConvTranspose, Gemm and MatMul with constant weights, in running order.

    A bias that is added by a node of its own belongs to the operation before it. Weights that are stored
    quantized are left out: what rounding to 8 bits leaves of a layer does not tell its statistics.
    """
    constants = Constants([proto.graph], opset)
    additions = _additions(proto.graph)
    coarse = _quantized(proto.graph)
    found = (
        _operation(node, constants, additions)
        for node in proto.graph.node
        if node.op_type in _PRODUCTS and not coarse & set(node.input)
    )
    return tuple(operation for operation in found if operation is not None)


def _operation(
    node: onnx.NodeProto, constants: Constants, additions: dict[str, tuple[str, str]]
) -> AffineOperation | None:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    weight = constants.value(node.input[1])
    if weight is None or weight.ndim < 2 or 0 in weight.shape or not _is_floating(weight.dtype):
        return None
    precision = PRECISION[str(weight.dtype)]
    bias = constants.channel_values(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if node.op_type == "Gemm":
        if attributes.get("transA", 0):
            return None
        weight = (weight if attributes.get("transB", 0) else weight.T) * attributes.get("alpha", 1.0)
        bias = None if bias is None else bias * attributes.get("beta", 1.0)
    elif node.op_type == "MatMul":
        if weight.ndim != 2:
            return None
        weight = weight.T
    transposed = node.op_type == "ConvTranspose"
    groups = int(attributes.get("group", 1)) if transposed else 1
    operation = AffineOperation(node.output[0], node.input[1], weight, bias, transposed, groups, precision)
    return _with_bias(operation, constants, additions)


def _with_bias(
    operation: AffineOperation, constants: Constants, additions: dict[str, tuple[str, str]]
) -> AffineOperation | None:
    """The operation with the bias that the next node adds, if it does."""
    added = additions.get(str(operation.key))
    bias = _per_channel(constants.value(added[0]), operation) if added is not None else None
    if added is None or bias is None or operation.bias is not None:
        return operation if _fits(operation) else None
    return AffineOperation(
        added[1], operation.name, operation.weight, bias, operation.transposed, operation.groups, operation.precision
    )


def _per_channel(value: npt.NDArray[Any] | None, operation: AffineOperation) -> FloatArray | None:
    """A constant that holds one number per output channel; `None` for others."""
    if value is None or not _is_floating(value.dtype) or value.size != operation.channels:
        return None
    spatial = max(operation.weight.ndim - 2, 0)
    shaped = value.reshape(value.shape[value.ndim - spatial - 1 :]) if value.ndim > spatial else value
    wanted = (operation.channels, *(1,) * spatial)
    return value.astype(np.float64).reshape(-1) if shaped.shape == wanted else None


def _fits(operation: AffineOperation) -> bool:
    return operation.bias is None or operation.bias.shape == (operation.channels,)


def _additions(graph: onnx.GraphProto) -> dict[str, tuple[str, str]]:
    """For every tensor that only an Add reads: what is added to it, and what that gives."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    return dict(_lone_additions(readers, outputs))


def _lone_additions(
    readers: dict[str, list[onnx.NodeProto]], outputs: set[str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, nodes in readers.items():
        if len(nodes) == 1 and nodes[0].op_type == "Add" and name not in outputs:
            other = nodes[0].input[1] if nodes[0].input[0] == name else nodes[0].input[0]
            yield name, (other, nodes[0].output[0])


def _quantized(graph: onnx.GraphProto) -> set[str]:
    return {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}


def coarsest_precision(proto: onnx.ModelProto) -> float | None:
    """Spacing of the numbers around 1 in the coarsest type a tensor is stored in; `None` where it is quantized."""
    if any(node.op_type in _QUANTIZING or node.op_type.startswith("QLinear") for node in proto.graph.node):
        return None
    kinds = {str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)) for tensor in proto.graph.initializer}
    return max((PRECISION[kind] for kind in kinds if kind in PRECISION), default=PRECISION["float32"])


def _is_floating(dtype: npt.DTypeLike) -> bool:
    return str(dtype) in PRECISION
