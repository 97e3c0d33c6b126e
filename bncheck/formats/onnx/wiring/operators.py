"""The operators of ONNX, by what they do to the moments of channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from bncheck.formats.onnx.wiring import products, shapes
from bncheck.formats.onnx.wiring.values import Nodes, attributes_of
from bncheck.formats.wiring.steps import Activated, Averaged
from bncheck.vocabulary import Activation, Unpredicted

_ACTIVATIONS = {
    "Relu": Activation.RELU,
    "Sigmoid": Activation.SIGMOID,
    "Tanh": Activation.TANH,
    "HardSwish": Activation.HARD_SWISH,
    "Softplus": Activation.SOFTPLUS,
    "Mish": Activation.MISH,
    "Gelu": Activation.GELU,
    "Erf": Activation.ERF,
    "Swish": Activation.SILU,
}
_SAME = {"Identity", "Cast", "CastLike", "Dropout"}
_AVERAGING = {"AveragePool", "GlobalAveragePool", "Resize", "Upsample"}
_LARGEST = {"MaxPool", "GlobalMaxPool", "ReduceMax", "Max"}
_REARRANGING = {"Transpose", "DepthToSpace", "SpaceToDepth", "Gather", "Expand", "Tile"}
_SIXTH, _CLOSE = 1 / 6, 1e-4

Meaning = Callable[[Nodes, onnx.NodeProto], int]


def meaning_of(nodes: Nodes, node: onnx.NodeProto) -> Sequence[int]:
    """The places of what a node gives."""
    drawing, kind = nodes.drawing, node.op_type
    if kind == "Split":
        return shapes.split(nodes, node)
    if not node.input:
        return [drawing.lost()]
    if kind in _SAME:
        return [nodes.place(node.input[0])]
    if kind in _ACTIVATIONS:
        return [drawing.put(Activated(_ACTIVATIONS[kind], nodes.place(node.input[0])))]
    if kind in _AVERAGING:
        return [drawing.put(Averaged(nodes.place(node.input[0])))]
    if kind in _LARGEST:
        return [drawing.lost(Unpredicted.LARGEST)]
    if kind in _REARRANGING:
        return [drawing.lost(Unpredicted.REARRANGED)]
    known = _KNOWN.get(kind)
    return [drawing.lost() if known is None else known(nodes, node)]


def _added(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Add`, `Sub` and `Sum` of values, and of a value and a constant."""
    sign = -1.0 if node.op_type == "Sub" else 1.0
    values = [number for number, name in enumerate(node.input) if name in nodes.places]
    if len(values) == len(node.input):
        places = [nodes.place(name) for name in node.input]
        return nodes.drawing.added(places, [1.0, *(sign for _ in places[1:])])
    if len(values) != 1 or len(node.input) != 2:
        return nodes.drawing.lost()
    value = values[0]
    place = nodes.place(node.input[value])
    offset = nodes.per_channel(node, 1 - value, nodes.drawing.channels[place])
    if offset is None:
        return _with_bias(nodes, node, value)
    return nodes.drawing.scaled(place, sign if value else 1.0, offset if value else sign * offset)


def _with_bias(nodes: Nodes, node: onnx.NodeProto, value: int) -> int:
    """A constant behind a product of matrices, which meets its channels as the last axis."""
    place, constant = nodes.place(node.input[value]), nodes.constant(node, 1 - value)
    maker = nodes.constants.producer(node.input[value])
    of_channels = constant is not None and constant.ndim == 1 and constant.size == nodes.drawing.channels[place]
    if constant is None or not of_channels or maker is None or maker.op_type not in ("MatMul", "Gemm"):
        return nodes.drawing.lost()
    if node.op_type != "Add":
        return nodes.drawing.lost()
    return nodes.drawing.scaled(place, 1.0, constant.astype(np.float64))


def _multiplied(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Mul`, and `Div` by a constant."""
    values = [number for number, name in enumerate(node.input) if name in nodes.places]
    if len(values) == 2:
        if node.op_type == "Div":
            return nodes.drawing.lost()
        return nodes.drawing.multiplied(nodes.place(node.input[0]), nodes.place(node.input[1]))
    if len(values) != 1 or (node.op_type == "Div" and values[0]):
        return nodes.drawing.lost()
    place = nodes.place(node.input[values[0]])
    factor = nodes.per_channel(node, 1 - values[0], nodes.drawing.channels[place])
    if factor is None:
        return nodes.drawing.lost()
    with np.errstate(all="ignore"):
        return nodes.drawing.scaled(place, 1 / factor if node.op_type == "Div" else factor)


def _negated(nodes: Nodes, node: onnx.NodeProto) -> int:
    return nodes.drawing.scaled(nodes.place(node.input[0]), -1.0)


def _leaky(nodes: Nodes, node: onnx.NodeProto) -> int:
    slope = float(attributes_of(node).get("alpha", 0.01))
    return nodes.drawing.leaky(nodes.place(node.input[0]), np.array([slope]))


def _prelu(nodes: Nodes, node: onnx.NodeProto) -> int:
    place, slope = nodes.place(node.input[0]), nodes.constant(node, 1)
    channels = nodes.drawing.channels[place]
    if slope is None or slope.size not in (1, channels):
        return nodes.drawing.lost()
    return nodes.drawing.leaky(place, slope.astype(np.float64).reshape(-1))


def _hard_sigmoid(nodes: Nodes, node: onnx.NodeProto) -> int:
    attributes = attributes_of(node)
    if abs(attributes.get("alpha", 0.2) - _SIXTH) > _CLOSE or abs(attributes.get("beta", 0.5) - 0.5) > _CLOSE:
        return nodes.drawing.lost()
    return nodes.drawing.put(Activated(Activation.HARD_SIGMOID, nodes.place(node.input[0])))


def _elu(nodes: Nodes, node: onnx.NodeProto) -> int:
    if attributes_of(node).get("alpha", 1.0) != 1.0:
        return nodes.drawing.lost()
    return nodes.drawing.put(Activated(Activation.ELU, nodes.place(node.input[0])))


def _clipped(nodes: Nodes, node: onnx.NodeProto) -> int:
    attributes = attributes_of(node)
    bounds: list[float | None] = []
    for number, name in ((1, "min"), (2, "max")):
        given = nodes.constant(node, number)
        if number < len(node.input) and node.input[number] and given is None:
            return nodes.drawing.lost()
        bounds.append(attributes.get(name) if given is None else float(given.reshape(-1)[0]))
    low, high = (None if bound is None or abs(bound) > 1e30 else bound for bound in bounds)
    return nodes.drawing.clipped(nodes.place(node.input[0]), low, high)


def _mean(nodes: Nodes, node: onnx.NodeProto) -> int:
    axes = nodes.whole(node, 1, "axes")
    if not axes or not all(axis >= 2 or axis in (-1, -2) for axis in axes):
        return nodes.drawing.lost()
    return nodes.drawing.put(Averaged(nodes.place(node.input[0])))


_KNOWN: dict[str, Meaning] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), products.convolution),
    "Gemm": products.gemm,
    "MatMul": products.matrix_product,
    **dict.fromkeys(("Add", "Sub", "Sum"), _added),
    **dict.fromkeys(("Mul", "Div"), _multiplied),
    "Neg": _negated,
    "LeakyRelu": _leaky,
    "PRelu": _prelu,
    "HardSigmoid": _hard_sigmoid,
    "Elu": _elu,
    "Clip": _clipped,
    "ReduceMean": _mean,
    "Concat": shapes.joined,
    "Flatten": shapes.flattened,
    "Reshape": shapes.reshaped,
    **dict.fromkeys(("Squeeze", "Unsqueeze"), shapes.squeezed),
    "Slice": shapes.sliced,
    "Pad": shapes.padded,
}
