"""Writing ONNX models again: initializers and Constant nodes, external data with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

from bncheck.core import in_float64
from bncheck.errors import ModelError
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.graph import OnnxGraph, all_tensors, subgraphs
from bncheck.formats.onnx.places import Place, places_in
from bncheck.formats.onnx.reading import confined
from bncheck.formats.origin import Origin
from bncheck.results import FunctionsInlined, Note
from bncheck.tensors import torch

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend

DATA_FREE = "bncheck.data_free"
"""Key of the metadata of a model whose statistics were made without data."""
_LISTED_AS_INPUTS = 4
"""Before this IR version initializers stand among the graph's inputs too."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OnnxOrigin(Origin):
    """An ONNX file.

    Attributes:
        external: the files beside it that hold tensors.
    """

    external: tuple[Path, ...] = ()

    def files(self) -> tuple[Path, ...]:
        """The file and its external data."""
        return (self.path, *self.external)

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `write_onnx`."""
        from bncheck.formats.onnx.model import OnnxBackend

        if not isinstance(model, OnnxBackend):
            raise TypeError(f"{self.path} was not opened from an ONNX file")
        return write_onnx(self.path, model.graph, tensors, target)

    def label_as_data_free(self, target: Path) -> None:
        """See `Origin.label_as_data_free`: an entry of the metadata, which exports and stamps keep."""
        proto = onnx.ModelProto()
        proto.ParseFromString(target.read_bytes())
        if not is_data_free(proto):
            proto.metadata_props.add(key=DATA_FREE, value="generated pictures (coloured noise)")
            target.write_bytes(proto.SerializeToString())


def is_data_free(proto: onnx.ModelProto) -> bool:
    """Whether the model says of itself that its statistics were made without data."""
    return any(entry.key == DATA_FREE for entry in proto.metadata_props)


def write_onnx(source: Path, graph: OnnxGraph, tensors: Mapping[str, torch.Tensor], target: Path) -> tuple[Note, ...]:
    """Write the graph again; new values stand inside the file, tensors kept outside are copied with it.

    A stored value that other nodes use too stays as it is, and the layer gets a value of its own.

    Args:
        source: the file.
        graph: as it was opened, with its tensors in memory.
        tensors: the new values.
        target: the new file.

    Raises:
        ModelError: a value does not fit the type the graph computes in.
    """
    proto = onnx.ModelProto()
    proto.ParseFromString(source.read_bytes())
    notes: tuple[Note, ...] = ()
    places = places_in(graph, proto)
    if places is None:
        # A layer stands inside a function, which other calls may share.
        proto = onnx.inliner.inline_local_functions(proto)
        places = places_in(graph, proto) or {}
        notes = (FunctionsInlined(),)
    writer = _GraphWriter(proto, Constants([graph.proto.graph], graph.opset))
    for name, new in tensors.items():
        if name not in places:
            raise ModelError(f"{source} has no value {name} that could be replaced.")
        writer.replace(places[name], new.detach().double().numpy(), name)
    _take_external_data(proto, source, target)
    target.write_bytes(proto.SerializeToString())
    return notes


class _GraphWriter:
    """Puts new values before the nodes of one graph."""

    def __init__(self, proto: onnx.ModelProto, constants: Constants) -> None:
        self._graph = proto.graph
        self._lists_as_inputs = proto.ir_version < _LISTED_AS_INPUTS
        self._constants = constants

    def replace(self, place: Place, new: npt.NDArray[np.float64], name: str) -> None:
        """Have the nodes of a layer normalize by other values."""
        first, position = place.reads[0]
        stored = first.input[position]
        old = self._constants.value(stored)
        if old is None:
            raise ModelError(f"{name} is computed when the graph runs, so there is nothing to replace.")
        value = _cast(place.stored(new), old, name)
        own = {(id(node), at) for node, at in place.reads}
        held = self._place(stored) if self._uses(stored) <= own else None
        if held is not None:
            held.CopyFrom(numpy_helper.from_array(value, held.name))
            return
        fresh = self._free_name(stored)
        self._graph.initializer.append(numpy_helper.from_array(value, fresh))
        if self._lists_as_inputs:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            self._graph.input.append(helper.make_tensor_value_info(fresh, kind, value.shape))
        for node, at in place.reads:
            node.input[at] = fresh

    def _place(self, name: str) -> onnx.TensorProto | None:
        """The initializer of that name, or the value of the Constant node that gives it."""
        stored: list[onnx.TensorProto] = [tensor for tensor in self._graph.initializer if tensor.name == name]
        for node in self._graph.node:
            if node.op_type == "Constant" and name in node.output:
                stored += [attribute.t for attribute in node.attribute if attribute.name == "value"]
        return stored[0] if stored else None

    def _uses(self, name: str) -> set[tuple[int, int]]:
        """The inputs that read the value, as (node, position); the graph's outputs count as a node of their own."""
        found = {
            (id(node), at) for node in _all_nodes(self._graph) for at, given in enumerate(node.input) if given == name
        }
        outputs = any(value.name == name for value in self._graph.output)
        return found | ({(id(self._graph), 0)} if outputs else set())

    def _free_name(self, name: str) -> str:
        taken = {tensor.name for tensor in self._graph.initializer}
        taken |= {output for node in _all_nodes(self._graph) for output in node.output}
        numbered = (f"{name}_repaired{number or ''}" for number in range(len(taken) + 1))
        return next(candidate for candidate in numbered if candidate not in taken)


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _all_nodes(inner)


def _cast(new: npt.NDArray[np.float64], old: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        value = new.astype(old.dtype).reshape(old.shape)
    if not np.isfinite(in_float64(value)).all():
        raise ModelError(
            f"{name} cannot be written: the value {float(np.abs(new).max()):.3g} is beyond {old.dtype}, in which the "
            "graph has it. Convert the model to float32 first, and repair that."
        )
    return np.asarray(value)


def external_name(number: int, target: Path) -> str:
    """The file that holds tensors of an ONNX model: `new.onnx.data`, `new.onnx.1.data`, ..."""
    return f"{target.name}{f'.{number}' if number else ''}.data"


def _take_external_data(proto: onnx.ModelProto, source: Path, target: Path) -> None:
    """Copy the files that hold the other tensors, under names of the new model's own."""
    renamed: dict[str, str] = {}
    for tensor in all_tensors(proto):
        for entry in tensor.external_data if tensor.data_location == onnx.TensorProto.EXTERNAL else ():
            if entry.key == "location":
                new = renamed.setdefault(entry.value, external_name(len(renamed), target))
                if not (target.parent / new).exists():
                    shutil.copyfile(confined(entry.value, source), target.parent / new)
                entry.value = new
