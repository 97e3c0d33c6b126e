"""Convolutions of an ONNX graph that a normalization may have been folded into."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_CONVOLUTIONS = {"Conv", "ConvTranspose"}
_NORMS = {
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization"),
    *("RMSNormalization", "LpNormalization", "ReduceMean"),
}
WITH_BIAS = 3
"""Inputs of a convolution that has a bias."""


def bare_convolutions(graph: onnx.GraphProto) -> int:
    """How many have a bias and go straight on to something that does not normalize."""
    consumers: dict[str, list[str]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node.op_type)
    return sum(
        node.op_type in _CONVOLUTIONS
        and len(node.input) == WITH_BIAS
        and not _NORMS.intersection(consumers[node.output[0]])
        for node in graph.node
    )
