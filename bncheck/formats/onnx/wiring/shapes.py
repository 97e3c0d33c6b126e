"""Nodes that put channels or positions elsewhere, as steps of a wiring."""

from __future__ import annotations

import onnx

from bncheck.formats.onnx.wiring.values import Nodes, attributes_of
from bncheck.formats.wiring.steps import Constant, Joined, Padded, Part
from bncheck.vocabulary import Unpredicted

_ENDLESS = 2**31 - 1


def joined(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Concat` of channels."""
    if attributes_of(node).get("axis") not in (1, -3):
        return nodes.drawing.lost(Unpredicted.REARRANGED)
    parts: list[int] = []
    for number, name in enumerate(node.input):
        constant = nodes.constant(node, number)
        if constant is not None and not constant.any() and constant.ndim > 1:
            parts.append(nodes.drawing.put(Constant(constant.reshape(constant.shape[1], -1)[:, 0] * 0.0)))
        else:
            parts.append(nodes.place(name))
    return nodes.drawing.put(Joined(tuple(parts)))


def flattened(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Flatten` behind the first axis."""
    if attributes_of(node).get("axis", 1) != 1:
        return nodes.drawing.lost(Unpredicted.REARRANGED)
    return nodes.drawing.flattened(nodes.place(node.input[0]))


def reshaped(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Reshape` to samples and channels."""
    shape = nodes.constant(node, 1)
    if shape is not None and shape.size == 2 and -1 in shape:
        return nodes.drawing.flattened(nodes.place(node.input[0]))
    made = nodes.constants.producer(node.input[1]) if len(node.input) > 1 else None
    ends = None if made is None or made.op_type != "Concat" else nodes.constant(made, len(made.input) - 1)
    if ends is not None and made is not None and len(made.input) == 2 and ends.size == 1:
        return nodes.drawing.flattened(nodes.place(node.input[0]))
    return nodes.drawing.lost(Unpredicted.REARRANGED)


def squeezed(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Squeeze` and `Unsqueeze` of positions."""
    axes = nodes.whole(node, 1, "axes")
    if axes and all(axis >= 2 or axis in (-1, -2) for axis in axes):
        return nodes.place(node.input[0])
    return nodes.drawing.lost(Unpredicted.REARRANGED)


def sliced(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Slice`: some channels, or some positions, of which the others are like."""
    starts, ends = nodes.whole(node, 1, "starts"), nodes.whole(node, 2, "ends")
    axes, steps = nodes.whole(node, 3, "axes"), nodes.whole(node, 4, "steps")
    if starts is None or ends is None:
        return nodes.drawing.lost(Unpredicted.REARRANGED)
    axes = tuple(range(len(starts))) if axes is None else axes
    place = nodes.place(node.input[0])
    for number, axis in enumerate(axes):
        if axis < 0 or (axis == 1 and steps is not None and steps[number] != 1):
            return nodes.drawing.lost(Unpredicted.REARRANGED)
        if axis == 1:
            end = None if ends[number] >= _ENDLESS else ends[number]
            place = nodes.drawing.put(Part(place, starts[number], end))
    return place


def split(nodes: Nodes, node: onnx.NodeProto) -> list[int]:
    """`Split` of channels."""
    whole, sizes = nodes.channels(node.input[0]), nodes.whole(node, 1, "split")
    if attributes_of(node).get("axis", 0) != 1 or whole is None:
        return [nodes.drawing.lost(Unpredicted.REARRANGED)] * len(node.output)
    each = -(-whole // len(node.output))
    sizes = sizes or tuple(min(each, whole - begin) for begin in range(0, whole, each))
    return nodes.drawing.split(nodes.place(node.input[0]), sizes)


def padded(nodes: Nodes, node: onnx.NodeProto) -> int:
    """`Pad` with zeros, or with values of the border."""
    pads, source = nodes.whole(node, 1, "pads"), nodes.place(node.input[0])
    attributes = attributes_of(node)
    if attributes.get("mode", b"constant") != b"constant":
        return source
    value = nodes.constant(node, 2)
    if pads is None or (value is not None and value.any()) or attributes.get("value", 0.0) or len(node.input) > 3:
        return nodes.drawing.lost()
    axes = len(pads) // 2
    if axes < 2 or pads[0] or pads[axes] or min(pads) < 0:
        return nodes.drawing.lost(Unpredicted.REARRANGED)
    if any(pads[2:axes]) or any(pads[axes + 2 :]):
        source = nodes.drawing.put(Padded(source))
    return nodes.drawing.wider(source, pads[1], pads[axes + 1]) if pads[1] or pads[axes + 1] else source
