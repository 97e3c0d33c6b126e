"""Where an ONNX file stores what its layers normalize by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from bncheck.core import FloatArray
from bncheck.formats.onnx.decomposed.stored import Form
from bncheck.formats.onnx.graph import OnnxGraph

_ROLES = {"weight": 1, "bias": 2, "running_mean": 3, "running_var": 4}
"""Where BatchNormalization has its inputs."""


@dataclass(slots=True)
class Place:
    """One value of a layer.

    Attributes:
        reads: the nodes of the file that read it, each with the position of the input; a layer called twice has two.
        form: as what a variance is stored.
    """

    reads: list[tuple[onnx.NodeProto, int]]
    form: Form = Form.VARIANCE

    def stored(self, values: FloatArray) -> FloatArray:
        """The values as the file has them."""
        with np.errstate(all="ignore"):  # what cannot be stored is told where it is cast
            if self.form is Form.VARIANCE:
                return values
            return np.asarray(np.sqrt(values) if self.form is Form.DEVIATION else 1.0 / np.sqrt(values))


def places_in(graph: OnnxGraph, proto: onnx.ModelProto) -> dict[str, Place] | None:
    """The place of each value by its name (`stem.bn.running_mean`); `None` where one stands in no node of the graph.

    Args:
        graph: as it was opened.
        proto: the file's own.
    """
    nodes = {node.output[0]: node for node in proto.graph.node if node.output}
    reads: dict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
    forms: dict[str, Form] = {}
    for norm in graph.nodes:
        decomposed = graph.decomposed.get(norm.output)
        found: Mapping[str, tuple[str, int]] = {role: (norm.output, at) for role, at in _ROLES.items()}
        if decomposed is not None:
            found = {role: (read.reader, read.position) for role, read in decomposed.reads.items()}
            forms[_name(norm.layer.name, "running_var")] = decomposed.form
        for role, (output, at) in found.items():
            if output not in nodes or (decomposed is None and nodes[output].op_type != "BatchNormalization"):
                return None
            reads[_name(norm.layer.name, role)].append((nodes[output], at))
    return {name: Place(found, forms.get(name, Form.VARIANCE)) for name, found in reads.items()}


def _name(layer: str, role: str) -> str:
    """The name of a value; a layer that is the model itself has none."""
    return f"{layer}.{role}" if layer else role
