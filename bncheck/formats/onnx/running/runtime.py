"""Whether onnxruntime normalizes right: BatchNormalization nodes of the graph as shipped, beside float64.

Other instrumented copies put nodes of their own in the place of the graph's. Here they stay as they are, in an
optimised session, and only a few positions of what each is fed and answers leave the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from bncheck.core import NormLayer, in_float64
from bncheck.evidence import RuntimeCheck
from bncheck.formats.onnx.graph import NormNode, OnnxGraph
from bncheck.formats.onnx.running.building import element_types
from bncheck.formats.onnx.running.tap_names import tap_name
from bncheck.formats.onnx.running.taps import Arrays
from bncheck.formats.programs.runtime import SAMPLES, Indices, coarsest, compared, positions_for, spread
from bncheck.watch import Site

FED, CAME, POSITIONS = "fed", "came", "positions"
_FLAT = "bncheck::constant.flat"
_DEFAULT_EPS = float(np.float32(1e-5))


@dataclass(frozen=True, slots=True)
class Answerer:
    """A node whose answers can be compared: not folded, its statistics, gamma and beta stored.

    Attributes:
        number: among the graph's normalizing nodes.
        site: where it stands.
        layer: with eps to the last digit: an attribute is a float32, whatever the node computes in.
        fed, came: names of its input and output.
        dtype: the coarsest type of its parameters.
    """

    number: int
    site: Site
    layer: NormLayer
    fed: str
    came: str
    dtype: torch.dtype

    @property
    def taps(self) -> tuple[str, str]:
        """What leaves the runtime: the input and the output at the positions asked for, (N, C, positions)."""
        return tap_name(FED, self.number), tap_name(CAME, self.number)

    def positions(self, rows: int, positions: int) -> Mapping[str, Indices]:
        """Which of them to ask for, where the node sees `rows` rows of maps of so many positions."""
        return {tap_name(POSITIONS, self.number): positions_for(rows, self.layer.channels, positions)}

    def check(self, values: Arrays, feeds: Arrays) -> RuntimeCheck | None:
        """What the comparison gives."""
        fed, came = (values[name] for name in self.taps)
        if fed.shape != came.shape or not fed.size or came.dtype.kind != "f":
            return None
        rows = spread(len(fed), SAMPLES)
        dtype = coarsest(self.dtype, getattr(torch, came.dtype.name))
        x, y = (in_float64(array[rows]) for array in (fed, came))
        return compared(self.site, self.layer, x, y, feeds[tap_name(POSITIONS, self.number)], dtype)


def answerers(graph: OnnxGraph, sites: Sequence[Site]) -> tuple[Answerer, ...]:
    """The nodes of `graph` whose answers can be compared; `sites` says where each of `graph.nodes` stands."""
    producers = {name: node for node in graph.proto.graph.node for name in node.output}
    types = element_types(graph.proto)
    return tuple(
        Answerer(
            number=number,
            site=site,
            layer=replace(norm.layer, eps=_epsilon(producers[norm.output])),
            fed=producers[norm.output].input[0],
            came=norm.output,
            dtype=coarsest(*_parameter_types(producers[norm.output], types)),
        )
        for number, (norm, site) in enumerate(zip(graph.nodes, sites, strict=True))
        if _is_known(norm) and norm.output not in graph.decomposed  # the file has no such node that could be wrong
    )


def with_answers(graph: OnnxGraph, nodes: Sequence[Answerer]) -> onnx.ModelProto:
    """A copy of `graph` that gives `Answerer.taps` of every node of `nodes`, and changes none of its own."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph.proto)
    copy.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, -1]), _FLAT))
    for node in nodes:
        positions = tap_name(POSITIONS, node.number)
        copy.graph.input.append(helper.make_tensor_value_info(positions, TensorProto.INT64, [None]))
        for tensor, tap in zip((node.fed, node.came), node.taps, strict=True):
            copy.graph.node.extend(_reading(tensor, positions, tap))
            copy.graph.output.append(helper.make_empty_tensor_value_info(tap))
    return copy


def _reading(tensor: str, positions: str, tap: str) -> Iterator[onnx.NodeProto]:
    flat = f"{tap}.flat"
    yield helper.make_node("Reshape", [tensor, _FLAT], [flat], name=flat)
    yield helper.make_node("Gather", [flat, positions], [tap], name=tap, axis=2)


def _is_known(norm: NormNode) -> bool:
    layer = norm.layer
    return norm.fold is None and layer.has_statistics and layer.weight is not None and layer.bias is not None


def _epsilon(node: onnx.NodeProto) -> float:
    return next((float(a.f) for a in node.attribute if a.name == "epsilon"), _DEFAULT_EPS)


def _parameter_types(node: onnx.NodeProto, types: Mapping[str, int]) -> Iterator[torch.dtype]:
    yield torch.float64  # a node of unknown types is judged by that of its answers
    for name in node.input[1:]:
        known: npt.DTypeLike | None = helper.tensor_dtype_to_np_dtype(types[name]) if name in types else None
        dtype = getattr(torch, np.dtype(known).name, None) if known is not None else None
        if isinstance(dtype, torch.dtype) and dtype.is_floating_point:
            yield dtype
