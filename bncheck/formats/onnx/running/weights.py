"""Weights that all sessions of one model share: each would else hold copies of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import onnx
from google.protobuf.message import Message
from onnx import TensorProto, numpy_helper

from bncheck.formats.onnx.graph import OnnxGraph

SMALL = 4096
"""Bytes of a tensor below which it stays where it is: shapes and axes are looked at when a graph is optimised."""
_Message = TypeVar("_Message", bound=Message)
_OF_NUMBERS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16})


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The large initializers of a graph.

    Attributes:
        names: as the graph calls them.
        values: onnxruntime's, in the same order.
    """

    names: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def given_to(self, options: Any) -> None:
        """Have the session that is made with these options run on them."""
        if self.names:
            options.add_external_initializers(list(self.names), list(self.values))


NO_WEIGHTS = Weights()


def without_weights(graph: OnnxGraph) -> tuple[OnnxGraph, Weights]:
    """The graph with its large initializers named only, and these; the graph that was given stays as it is."""
    try:
        from onnxruntime import OrtValue, SessionOptions
    except ImportError:  # said where a session is made
        return graph, NO_WEIGHTS
    if not hasattr(SessionOptions, "add_external_initializers"):
        return graph, NO_WEIGHTS
    light = _copied(graph.proto, but="graph")
    light.graph.CopyFrom(_copied(graph.proto.graph, but="initializer"))
    names, values = [], []
    for tensor in graph.proto.graph.initializer:
        if tensor.data_type in _OF_NUMBERS and tensor.ByteSize() > SMALL and not tensor.external_data:
            names.append(tensor.name)
            values.append(OrtValue.ortvalue_from_numpy(numpy_helper.to_array(tensor)))
            light.graph.initializer.append(_name_only(tensor))
        else:
            light.graph.initializer.append(tensor)
    return replace(graph, proto=light), Weights(tuple(names), tuple(values))


def _copied(message: _Message, *, but: str) -> _Message:
    """A copy without one field, which is large."""
    copy: _Message = type(message)()
    for field, value in message.ListFields():
        if field.name == but:
            continue
        if isinstance(value, Message):
            getattr(copy, field.name).CopyFrom(value)
        elif isinstance(value, str | int | float | bytes):
            setattr(copy, field.name, value)
        else:
            getattr(copy, field.name).extend(value)
    return copy


def _name_only(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """A tensor's name, type and shape, and that its values are elsewhere."""
    named = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    named.data_location = TensorProto.EXTERNAL
    place = named.external_data.add()
    place.key, place.value = "location", tensor.name
    return named
