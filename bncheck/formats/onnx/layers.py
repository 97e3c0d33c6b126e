"""The normalization layers of an ONNX graph: its nodes, their stored values, and the names these were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from bncheck.core import BATCH_NORM, GROUP_NORM, INSTANCE_NORM, LAYER_NORM, RMS_NORM, FloatArray, NormLayer
from bncheck.errors import ModelError
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.decomposed.putting_together import Together, Unseparated
from bncheck.formats.onnx.graph import NormNode, nodes_below
from bncheck.formats.onnx.naming import candidates, owner

WITHOUT_STATISTICS = {
    "InstanceNormalization": INSTANCE_NORM,
    "GroupNormalization": GROUP_NORM,
    "GroupNorm": GROUP_NORM,
    "LayerNormalization": LAYER_NORM,
    "SkipLayerNormalization": LAYER_NORM,
    "RMSNormalization": RMS_NORM,
    "SimplifiedLayerNormalization": RMS_NORM,
    "SkipSimplifiedLayerNormalization": RMS_NORM,
}
_DECAY, _EPS = 0.9, 1e-5
"""Defaults of BatchNormalization's attributes."""


@dataclass(slots=True)
class Listing:
    """What was found in a graph.

    Attributes:
        layers: by name, in running order, those in bodies of If, Loop and Scan where their node stands.
        nodes: the nodes that can be measured.
        unsupported: by name, why a layer cannot be measured.
        training: names of layers in training mode, also those that store no statistics.
    """

    layers: dict[str, NormLayer] = field(default_factory=dict)
    nodes: list[NormNode] = field(default_factory=list)
    unsupported: dict[str, str] = field(default_factory=dict)
    training: list[str] = field(default_factory=list)


def list_onnx_layers(together: Together, opset: int) -> Listing:
    """Every normalization layer of the graph; nodes that share all their values are one layer called twice.

    Args:
        together: the graph, its decomposed layers put together.
        opset: of the default operators.

    Raises:
        ModelError: a layer's mean and variance are of different sizes.
    """
    proto = together.proto
    lister = _Lister(together, opset)
    constants = Constants([proto.graph], opset)
    bodies: dict[int, tuple[onnx.GraphProto, Constants]] = {}
    unseparated = {one.output: one for one in together.unseparated}
    for node in proto.graph.node:
        lister.add(node, constants)
        for name in node.output:
            if name in unseparated:
                lister.add_unseparated(unseparated[name])
        for inner, graph in nodes_below(node):
            if _kind(inner) is not None:
                if id(graph) not in bodies:  # and kept with it, for an id is taken again
                    bodies[id(graph)] = graph, Constants([proto.graph, graph], opset)
                lister.add(inner, bodies[id(graph)][1], inside=node.op_type)
    return lister.found


class _Lister:
    """Builds the listing node by node."""

    def __init__(self, together: Together, opset: int) -> None:
        self.found = Listing()
        self._trainable = together.proto.producer_name == "pytorch" or None
        self._opset = opset
        self._decomposed = together.layers
        self._stored = sorted(tensor.name for tensor in together.proto.graph.initializer)
        self._names: dict[tuple[str, ...], str] = {}

    def add(self, node: onnx.NodeProto, constants: Constants, inside: str = "") -> None:
        """Take in a node, if it normalizes; `inside` is the control flow node whose body it stands in."""
        kind = _kind(node)
        if kind is None:
            return
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        name = self._name(node)
        if kind != BATCH_NORM:
            self.found.layers.setdefault(name, _without_statistics(node, name, kind, attributes, constants))
            return
        layer = self.found.layers.get(name) or self._batch_norm(node, name, attributes, constants)
        self.found.layers[name] = layer
        if _in_training(node, attributes):
            self.found.training.append(name)
        reason = _unsupported(attributes, self._opset, inside)
        if reason:
            self.found.unsupported[name] = reason
        elif layer.has_statistics:
            self.found.nodes.append(NormNode(node.output[0], layer))

    def add_unseparated(self, one: Unseparated) -> None:
        """Take in arithmetic that normalizes, and of which nothing tells the variance."""
        name = self._free([one.name, one.output])
        self.found.unsupported[name] = (
            "it is written as arithmetic, and one constant holds its variance and gamma together. Inspect the file "
            "that it was exported from"
        )
        self.found.layers[name] = NormLayer(
            name=name,
            kind=BATCH_NORM,
            channels=one.channels,
            mean=None,
            var=None,
            bias=one.bias,
            expects_statistics=False,
        )

    def _batch_norm(
        self, node: onnx.NodeProto, name: str, attributes: Mapping[str, Any], constants: Constants
    ) -> NormLayer:
        weight, bias, mean, var = (constants.channel_values(given) for given in node.input[1:5])
        known = mean is not None and var is not None
        _require_of_one_size(name, {"mean": mean, "variance": var, "weight": weight, "bias": bias})
        sized = next((values for values in (mean, var, weight, bias) if values is not None), None)
        # Arithmetic has no momentum, is of no class, and may have neither gamma nor beta.
        arithmetic = self._decomposed.get(node.output[0])
        if arithmetic is not None:
            weight, bias = (
                values if role in arithmetic.reads else None for role, values in (("weight", weight), ("bias", bias))
            )
        return NormLayer(
            name=name,
            kind=BATCH_NORM,
            channels=0 if sized is None else sized.size,
            mean=mean if known else None,
            var=var if known else None,
            eps=_plain(attributes.get("epsilon", _EPS)),
            # ONNX's momentum is the share of the old value, PyTorch's that of the newest batch.
            momentum=None if arithmetic else round(1.0 - _plain(attributes.get("momentum", _DECAY)), 7),
            weight=weight,
            bias=bias,
            # Where the graph computes the statistics, nothing tells a layer from a standardized kernel.
            trainable_class=self._trainable if known and arithmetic is None else None,
            dtype=constants.dtype(node.input[3]) if known else None,
            expects_statistics=known,
            by_input=known and _in_training(node, attributes),
        )

    def _name(self, node: onnx.NodeProto) -> str:
        """A name of its own; the one it has already where all its values are those of a node before."""
        values = tuple(node.input[1:5])
        if values and values in self._names:
            return self._names[values]
        arithmetic = self._decomposed.get(node.output[0])
        called, names = (arithmetic.node_name, arithmetic.names) if arithmetic else (node.name, values)
        name = self._free(list(candidates(called, names, node.output[0], self._stored)))
        if node.op_type == "BatchNormalization" or any(owner(value) is not None for value in values):
            self._names[values] = name
        return name

    def _free(self, candidates: Sequence[str]) -> str:
        """The first that no layer has, or else the last with a number."""
        numbered = (f"{candidates[-1]}_{number}" for number in range(1, len(self.found.layers) + 2))
        return next(name for name in (*candidates, *numbered) if name not in self.found.layers)


def _require_of_one_size(name: str, values: Mapping[str, FloatArray | None]) -> None:
    sizes = {role: array.size for role, array in values.items() if array is not None}
    if len(set(sizes.values())) > 1:
        counted = ", ".join(f"the {role} has {size} values" for role, size in sizes.items())
        raise ModelError(
            f"The statistics of {name} do not belong together: {counted}. The file is damaged or was edited."
        )


def _kind(node: onnx.NodeProto) -> str | None:
    return BATCH_NORM if node.op_type == "BatchNormalization" else WITHOUT_STATISTICS.get(node.op_type)


def _without_statistics(
    node: onnx.NodeProto, name: str, kind: str, attributes: Mapping[str, Any], constants: Constants
) -> NormLayer:
    weight, bias = (constants.channel_values(given) if given else None for given in [*node.input[1:3], "", ""][:2])
    return NormLayer(
        name=name,
        kind=kind,
        channels=0 if weight is None else weight.size,
        mean=None,
        var=None,
        eps=_plain(attributes.get("epsilon", _EPS)),
        weight=weight,
        bias=bias,
        expects_statistics=False,
    )


def _in_training(node: onnx.NodeProto, attributes: Mapping[str, Any]) -> bool:
    """Whether the node normalizes by its batch: by its attribute (from opset 14) or by its further outputs."""
    return bool(attributes.get("training_mode", 0)) or any(node.output[1:])


def _unsupported(attributes: Mapping[str, Any], opset: int, inside: str) -> str:
    """Why the layer cannot be measured; empty where it can."""
    if inside:
        return f"it stands in the body of a node of type {inside}"
    if opset < 9 and not attributes.get("spatial", 1):
        return "it normalizes every position by itself (spatial=0)"
    return ""


def _plain(value: float) -> float:
    """A float32 attribute as the decimal number it was written as: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))
