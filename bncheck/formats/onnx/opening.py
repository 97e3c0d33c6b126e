"""From an ONNX file to its backend."""

from __future__ import annotations

import onnx

from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Request
from bncheck.formats.messages import listed
from bncheck.formats.onnx import FORMAT
from bncheck.formats.onnx.decomposed.putting_together import Together, put_together
from bncheck.formats.onnx.graph import OnnxGraph, graph_inputs, nodes_below, opset_of
from bncheck.formats.onnx.layers import Listing, list_onnx_layers
from bncheck.formats.onnx.model import OnnxBackend
from bncheck.formats.onnx.reading import read_onnx
from bncheck.formats.onnx.writing import OnnxOrigin, is_data_free
from bncheck.results import ArithmeticRead, DeviceIgnored, LayerUnmeasurable, MadeWithoutData, Note

_CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "NhwcConv")


def open_onnx(request: Request) -> OnnxBackend:
    """Read an ONNX file; nothing is run, and the runtime is not loaded.

    Raises:
        ModelError: the file is damaged or too old, or its external data are missing or outside its folder.
    """
    path = request.path
    proto, external = read_onnx(path)
    opset = opset_of(proto) or 0
    together = put_together(proto, opset)
    proto, listing = together.proto, list_onnx_layers(together, opset)
    inputs = graph_inputs(proto.graph)
    return OnnxBackend(
        path=str(path),
        format=FORMAT.name,
        sha256=sha256_of(path, *external),
        layers=tuple(listing.layers.values()),
        origin=OnnxOrigin(path=path, container=request.container, external=external),
        graph=OnnxGraph(
            proto=proto,
            opset=opset,
            inputs=inputs,
            outputs=tuple(value.name for value in proto.graph.output),
            nodes=tuple(listing.nodes),
            decomposed=together.layers,
        ),
        fixed_batch=inputs[0].shape[0] if inputs and inputs[0].shape else None,
        has_convolutions=_convolves(proto),
        unsupported=frozenset(listing.unsupported),
        refusal=_refusal(listing),
        notes=(
            *([MadeWithoutData()] if is_data_free(proto) else []),
            *(*request.ignored(), *_device_note(request.device), *_together(together), *_reasons(listing)),
        ),
    )


def _device_note(device: str) -> tuple[Note, ...]:
    return () if device == "cpu" else (DeviceIgnored(device),)


def _together(together: Together) -> tuple[Note, ...]:
    return (ArithmeticRead(len(together.layers)),) if together.layers else ()


def _refusal(listing: Listing) -> str | None:
    if not listing.training:
        return None
    return f"onnxruntime refuses BatchNormalization in training mode ({listed(listing.training)})"


def _reasons(listing: Listing) -> list[Note]:
    return [LayerUnmeasurable(name, reason) for name, reason in listing.unsupported.items()]


def _convolves(proto: onnx.ModelProto) -> bool:
    return any(
        node.op_type in _CONVOLUTIONS or any(inner.op_type in _CONVOLUTIONS for inner, _ in nodes_below(node))
        for node in proto.graph.node
    )
