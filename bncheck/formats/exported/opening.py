"""From an exported program to its backend."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule

from bncheck.errors import ModelError
from bncheck.formats.digest import sha256_of
from bncheck.formats.exported import FORMAT
from bncheck.formats.exported.layers import list_graph_layers
from bncheck.formats.exported.model import GraphBackend
from bncheck.formats.exported.reading import load_exported, not_loaded, program_of
from bncheck.formats.exported.writing import ExportOrigin
from bncheck.formats.format import Adoption, Request
from bncheck.formats.tensors import require_readable_module, tensor_names


def open_exported(request: Request) -> GraphBackend:
    """Read a `torch.export` archive; it is checked first, since loading one can run what its author wrote.

    Raises:
        ModelError: it is damaged, of another version, or holds more than tensors and a graph.
    """
    path = request.path
    exported = load_exported(path, trust_pickle=request.trust_pickle, allow_ops=request.allow_ops)
    try:
        program = program_of(exported, device=request.device)
    except Exception as error:
        raise ModelError(not_loaded(path, error)) from error
    require_readable_module(program, str(path))
    source = Adoption(str(path), sha256_of(path), request.device, request.ignored())
    origin = ExportOrigin(
        path=path,
        container=request.container,
        trust_pickle=request.trust_pickle,
        allow_ops=request.allow_ops,
    )
    return model_of_graph(program, source, origin)


def model_of_graph(own: GraphModule, source: Adoption, origin: ExportOrigin | None = None) -> GraphBackend:
    """The backend of a graph that is bncheck's own; its modes are part of the graph and cannot be switched."""
    program = own.to(source.device)
    names = tensor_names(program)
    return GraphBackend(
        path=source.path,
        format=FORMAT.name,
        sha256=source.sha256,
        layers=list_graph_layers(program, names),
        origin=origin,
        program=program,
        tensor_names=names,
        fixed_batch=_fixed_batch(program),
        has_convolutions=any("conv" in str(node.target) for node in program.graph.nodes if node.op == "call_function"),
        notes=source.notes,
    )


def _fixed_batch(program: GraphModule) -> int | None:
    """The first size of the first tensor input, where the graph was exported for that number alone."""
    for node in program.graph.nodes:
        value: Any = node.meta.get("val") if node.op == "placeholder" else None
        if isinstance(value, torch.Tensor) and value.dim() > 0:
            return value.shape[0] if isinstance(value.shape[0], int) else None
    return None
