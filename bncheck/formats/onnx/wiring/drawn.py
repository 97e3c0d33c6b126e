"""The wiring of an ONNX graph, node by node."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from bncheck.errors import ModelError
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.graph import DEFAULT_DOMAINS, OnnxGraph
from bncheck.formats.onnx.wiring.operators import meaning_of
from bncheck.formats.onnx.wiring.values import Nodes
from bncheck.formats.wiring.drawing import UNREADABLE, Drawing
from bncheck.formats.wiring.steps import Fed, Normalized, Wiring


def wiring_of_onnx(graph: OnnxGraph) -> Wiring | None:
    """What feeds what in a graph; `None` where a constant of it cannot be read."""
    drawing = Drawing()
    nodes = Nodes(drawing, Constants([graph.proto.graph], graph.opset))
    layers = {node.output: node.layer.name for node in graph.nodes if node.fold is None}
    for fed in graph.inputs:
        channels = fed.shape[1] if fed.shape is not None and len(fed.shape) > 1 else None
        nodes.places[fed.name] = drawing.put(Fed(), channels)
    try:
        for node in graph.proto.graph.node:
            _follow(nodes, node, layers)
    except (ModelError, *UNREADABLE):
        return None
    return drawing.finished()


def _follow(nodes: Nodes, node: onnx.NodeProto, layers: Mapping[str, str]) -> None:
    if not node.output or nodes.is_constant(node):
        return
    first = node.output[0]
    if first in layers and node.op_type == "BatchNormalization":
        source = nodes.place(node.input[0])
        nodes.places[first] = nodes.drawing.put(Normalized(layers[first], source), nodes.channels(node.input[0]))
        return
    found = meaning_of(nodes, node) if node.domain in DEFAULT_DOMAINS else [nodes.drawing.lost()]
    for number, name in enumerate(node.output):
        if name:
            nodes.places[name] = found[number] if number < len(found) else nodes.drawing.lost()
