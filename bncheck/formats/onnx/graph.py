"""An ONNX model in memory: what is fed, what comes back, and the nodes that normalize."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bncheck.core import NormLayer
from bncheck.formats.folding import Fold

if TYPE_CHECKING:
    import onnx

    from bncheck.formats.onnx.decomposed.putting_together import Decomposed

DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class GraphInput:
    """A tensor the graph wants to be fed.

    Attributes:
        name: as the graph calls it.
        element_type: `onnx.TensorProto.FLOAT` and the like; 0 for what is no tensor (a sequence, a map).
        shape: a size per axis, `None` where any goes; `None` where not even the rank is declared.
    """

    name: str
    element_type: int
    shape: tuple[int | None, ...] | None

    @property
    def is_tensor(self) -> bool:
        """Whether an array can be fed to it."""
        return self.element_type != 0


@dataclass(frozen=True, slots=True)
class NormNode:
    """A node that normalizes and can be measured, named by its output, which is unique in a graph.

    Attributes:
        output: of the BatchNormalization, or of the operation that it was folded into.
        layer: its statistics.
        fold: what there is to see through, where it was folded.
    """

    output: str
    layer: NormLayer
    fold: Fold | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OnnxGraph:
    """What running an ONNX model takes.

    Attributes:
        proto: bncheck's own copy, its tensors in memory and its functions inlined.
        opset: version of the default operator set.
        inputs: what must be fed, initializers listed as inputs left out.
        outputs: names of what comes back.
        nodes: the nodes whose inputs can be measured, in running order; a layer called twice has two.
        decomposed: those that the file writes as arithmetic, by the output of the node that stands for them.
    """

    proto: onnx.ModelProto
    opset: int
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[NormNode, ...]
    decomposed: Mapping[str, Decomposed] = field(default_factory=dict)


def opset_of(proto: onnx.ModelProto) -> int | None:
    """Version of the default operator set; `None` where the model uses others only."""
    versions = [int(entry.version) for entry in proto.opset_import if entry.domain in DEFAULT_DOMAINS]
    return max(versions, default=None)


def graph_inputs(graph: onnx.GraphProto) -> tuple[GraphInput, ...]:
    """The real inputs: files before IR version 4 list their initializers as inputs too."""
    stored = {tensor.name for tensor in graph.initializer}
    return tuple(
        GraphInput(value.name, int(value.type.tensor_type.elem_type), _shape(value))
        for value in graph.input
        if value.name not in stored
    )


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies of an If, Loop or Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nodes_below(node: onnx.NodeProto) -> Iterator[tuple[onnx.NodeProto, onnx.GraphProto]]:
    """Every node within a node's bodies, at any depth, with the graph it stands in."""
    for graph in subgraphs(node):
        for inner in graph.node:
            yield inner, graph
            yield from nodes_below(inner)


def all_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor a model stores: initializers and attributes, in the graph, its bodies and its functions."""
    yield from _tensors_of(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from _attribute_tensors(node)


def _tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _attribute_tensors(node)


def _attribute_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        yield from attribute.tensors
    for graph in subgraphs(node):
        yield from _tensors_of(graph)


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    # paddle2onnx writes -1 for a dimension of any size.
    return tuple(int(size.dim_value) if size.dim_value > 0 else None for size in tensor.shape.dim)
