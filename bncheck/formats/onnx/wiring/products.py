"""Convolutions and linear layers of an ONNX graph as steps of a wiring."""

from __future__ import annotations

import onnx

from bncheck.formats.onnx.wiring.values import Nodes, attributes_of
from bncheck.formats.wiring.steps import Weighted
from bncheck.vocabulary import Unpredicted


def convolution(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Conv` and `ConvTranspose`."""
    attributes = attributes_of(node)
    weight, bias = nodes.tensor(node, 1), nodes.tensor(node, 2)
    if weight is None or weight.dim() < 2 or (bias is None and len(node.input) > 2 and node.input[2]):
        return nodes.drawing.lost(Unpredicted.MULTIPLIED)
    transposed = node.op_type == "ConvTranspose"
    automatic = attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    return nodes.drawing.put(
        Weighted(
            node.input[1],
            nodes.place(node.input[0]),
            weight,
            bias,
            int(attributes.get("group", 1)),
            padded=automatic or transposed or any(attributes.get("pads", ())),
            transposed=transposed,
            strides=tuple(int(one) for one in attributes.get("strides", ())),
        )
    )


def gemm(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Gemm` with a constant matrix."""
    attributes = attributes_of(node)
    weight, bias = nodes.tensor(node, 1), nodes.tensor(node, 2)
    if weight is None or weight.dim() != 2 or attributes.get("transA", 0):
        return nodes.drawing.lost(Unpredicted.MULTIPLIED)
    if bias is None and len(node.input) > 2 and node.input[2]:
        return nodes.drawing.lost(Unpredicted.MULTIPLIED)
    turned = (weight if attributes.get("transB", 0) else weight.t()) * float(attributes.get("alpha", 1.0))
    offset = (
        None if bias is None else bias.reshape(-1).expand(turned.shape[0]) if bias.numel() == 1 else bias.reshape(-1)
    )
    scaled = None if offset is None else offset * float(attributes.get("beta", 1.0))
    return nodes.drawing.put(Weighted(node.input[1], nodes.place(node.input[0]), turned, scaled))


def matrix_product(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`MatMul` of values that have channels alone with a constant matrix."""
    weight, channels = nodes.tensor(node, 1), nodes.channels(node.input[0])
    if weight is None or weight.dim() != 2:
        return nodes.drawing.lost(Unpredicted.MULTIPLIED)
    if channels is not None and channels != weight.shape[0]:
        return nodes.drawing.lost(Unpredicted.REARRANGED)
    return nodes.drawing.put(Weighted(node.input[1], nodes.place(node.input[0]), weight.t(), None))
