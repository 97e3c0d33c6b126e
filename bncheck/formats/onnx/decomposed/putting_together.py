"""A copy of an ONNX graph in which every decomposed normalization is one BatchNormalization again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bncheck.core import FloatArray
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.decomposed.matching import Pattern, patterns_in
from bncheck.formats.onnx.decomposed.stored import Form, Read

_OWN = "bncheck::decomposed"
_ARITHMETIC = re.compile(r"(?:[./](?:batch_?norm(?:alization)?\w*))+$", re.IGNORECASE)
"""What a layer's own arithmetic is called within it: `bn1/batchnorm`."""


@dataclass(frozen=True, slots=True)
class Decomposed:
    """A layer that the file writes as arithmetic.

    Attributes:
        output: of the BatchNormalization in the copy.
        reads: by role (`weight`, `bias`, `running_mean`, `running_var`), what the file stores and where it is read.
        form: as what the variance is stored.
        names: of the stored values, gamma, beta, mean and variance, as far as there are some.
        node_name: what the nodes are called together, or the last of them.
    """

    output: str
    reads: Mapping[str, Read]
    form: Form
    names: tuple[str, ...]
    node_name: str


@dataclass(frozen=True, slots=True)
class Unseparated:
    """A normalization whose variance and gamma are one constant.

    Attributes:
        name: what its nodes are called together, or the last of them.
        output: of the last.
        channels: how many there are.
        bias: beta, shape (C,).
    """

    name: str
    output: str
    channels: int
    bias: FloatArray | None


@dataclass(slots=True)
class Together:
    """The copy, and what was put together in it.

    Attributes:
        proto: the graph that was given, where there is nothing to put together.
        layers: by the output of the BatchNormalization.
        unseparated: those that cannot be.
    """

    proto: onnx.ModelProto
    layers: dict[str, Decomposed] = field(default_factory=dict)
    unseparated: list[Unseparated] = field(default_factory=list)


def put_together(proto: onnx.ModelProto, opset: int) -> Together:
    """Find the decomposed normalizations of a graph; the copy's nodes stand where their last ones stood."""
    constants = Constants([proto.graph], opset)
    patterns = list(_apart(patterns_in(proto.graph, constants)))
    if not patterns:
        return Together(proto)
    ranks = _ranks(proto)
    writer = _Writer(constants)
    together = Together(proto)
    for pattern in patterns:
        rank = ranks.get(pattern.fed, ranks.get(pattern.end.output[0], pattern.behind + 2))
        if pattern.spread is None:
            bias = None if pattern.beta is None else constants.channel_values(pattern.beta.name)
            end = pattern.end
            called = _called(pattern.trunk) or end.name or end.output[0]
            together.unseparated.append(Unseparated(called, end.output[0], pattern.channels, bias))
        elif rank - 1 - pattern.behind > 0:
            layer = writer.write(pattern, rank)
            together.layers[layer.output] = layer
    if together.layers:
        together.proto = writer.copy_of(proto)
    return together


def _apart(patterns: Iterator[Pattern]) -> Iterator[Pattern]:
    """Those that share no node with one before."""
    taken: set[str] = set()
    for pattern in patterns:
        outputs = {node.output[0] for node in pattern.trunk}
        if not outputs & taken:
            taken |= outputs
            yield pattern


class _Writer:
    """Collects the nodes that take the place of patterns, and the constants that they need."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._values: dict[str, onnx.TensorProto] = {}
        self._nodes: dict[str, list[onnx.NodeProto]] = {}
        self._gone: set[str] = set()

    def write(self, pattern: Pattern, rank: int) -> Decomposed:
        """Take a pattern's nodes out, and one BatchNormalization in, the channels' axis moved where it has to be."""
        spread, end = pattern.spread, pattern.end.output[0]
        if spread is None:
            raise ValueError(f"{end} has no variance of its own")
        stored = {"weight": pattern.gamma, "bias": pattern.beta, "running_mean": pattern.mean}
        reads = {role: read for role, read in stored.items() if read is not None} | {"running_var": spread.read}
        dtype = self._dtype(pattern)
        given = [
            self._constant("one" if pattern.gamma is None else "", pattern.gamma, np.ones(pattern.channels), dtype),
            self._constant("zero" if pattern.beta is None else "", pattern.beta, np.zeros(pattern.channels), dtype),
            self._constant("", pattern.mean, None, dtype),
            self._constant("" if spread.form is Form.VARIANCE else spread.form.name.lower(), spread.read, None, dtype),
        ]
        axis = rank - 1 - pattern.behind
        order = [0, axis, *(other for other in range(1, rank) if other != axis)]
        back = [order.index(position) for position in range(rank)]
        moved = axis != 1
        fed, output = (f"{_OWN}.{end}.fed", f"{_OWN}.{end}.output") if moved else (pattern.fed, end)
        norm = helper.make_node("BatchNormalization", [fed, *given], [output], name=end, epsilon=spread.eps)
        nodes = [norm]
        if moved:
            before = helper.make_node("Transpose", [pattern.fed], [fed], name=f"{fed}.moved", perm=order)
            nodes = [before, norm, helper.make_node("Transpose", [output], [end], name=f"{output}.moved", perm=back)]
        self._nodes[end] = nodes
        self._gone |= {node.output[0] for node in pattern.trunk}
        names = tuple(reads[role].name for role in ("weight", "bias", "running_mean", "running_var") if role in reads)
        return Decomposed(output, reads, spread.form, names, _called(pattern.trunk) or pattern.end.name)

    def copy_of(self, proto: onnx.ModelProto) -> onnx.ModelProto:
        """The copy."""
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        del copy.graph.node[:]
        for node in proto.graph.node:
            first = node.output[0] if node.output else ""
            copy.graph.node.extend(self._nodes.get(first, [] if first in self._gone else [node]))
        copy.graph.initializer.extend(self._values.values())
        return copy

    def _constant(self, form: str, read: Read | None, filled: FloatArray | None, dtype: np.dtype[np.generic]) -> str:
        """A vector for the node, of what the file stores or of one number; the same for layers that share it."""
        values = filled if read is None else self._constants.channel_values(read.name)
        if values is None:
            raise ValueError(f"{form} of no value")
        with np.errstate(all="ignore"):  # whatever a file has
            if form == Form.DEVIATION.name.lower():
                values = values**2
            elif form == Form.INVERSE.name.lower():
                values = values**-2.0
            name = ".".join(filter(None, (_OWN, form, str(values.size) if read is None else read.name)))
            self._values[name] = numpy_helper.from_array(values.astype(dtype), name)
        return name

    def _dtype(self, pattern: Pattern) -> np.dtype[np.generic]:
        """What the pattern computes in: constants of arithmetic are of the type of what they are taken from."""
        names = (name for node in pattern.trunk for name in node.input)
        values = (self._constants.value(name) for name in names)
        return next(value.dtype for value in values if value is not None)


def _called(trunk: Sequence[onnx.NodeProto]) -> str:
    """The path that the names of the nodes share, without what the arithmetic itself is called; empty without one."""
    paths = [node.name.split("/")[:-1] for node in trunk]
    path = "/".join(paths[0]) if paths and all(path == paths[0] for path in paths) else ""
    path = _ARITHMETIC.sub("", path).lstrip("/")
    return path if any(letter.isalpha() for letter in path) else ""


def _ranks(proto: onnx.ModelProto) -> dict[str, int]:
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # noqa: BLE001  # operators of other domains, or over 2 GiB: what is declared has to do
        graph = proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    kinds = {value.name: value.type.tensor_type for value in values}
    return {name: len(kind.shape.dim) for name, kind in kinds.items() if kind.HasField("shape")}
