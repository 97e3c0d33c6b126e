"""Exported programs: `.pt2` files of `torch.export`, and other graphs of operators."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bncheck.formats.format import TORCH_SUFFIXES, Adoption, Container, Format, Request
from bncheck.tensors import torch

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

EXPORT_ARCHIVE = Container("torch.export archive", (".pt2", *TORCH_SUFFIXES))
_MARKS = ("archive_format", "serialized_exported_program.json")


class Exported(Format):
    """`torch.export`."""

    name = "exported"
    title = "torch.export"
    rank = 10
    containers = (EXPORT_ARCHIVE,)

    def recognise(self, start: FileStart) -> Container | None:
        """By the records that `torch.export.save` writes."""
        marked = any(name in _MARKS for name in (*start.records, *start.members))
        graphs = any(name.startswith("models/") and name.endswith(".json") for name in start.records)
        return EXPORT_ARCHIVE if marked or graphs else None

    def open(self, request: Request) -> Backend:
        """See `open_exported`."""
        from bncheck.formats.exported.opening import open_exported

        return open_exported(request)

    def holds(self, value: Any) -> bool:
        """Exported programs, and modules that call operators rather than the modules they were traced from."""
        return isinstance(value, torch.export.ExportedProgram) or runs_operators(value)

    def copied(self, value: Any) -> torch.nn.Module:
        """The program as a module of its own."""
        from bncheck.formats.exported.reading import program_of

        own = program_of(value) if isinstance(value, torch.export.ExportedProgram) else value
        return copy.deepcopy(own)

    def adopt(self, own: Any, source: Adoption) -> Backend:
        """See `model_of_graph`."""
        from bncheck.formats.exported.opening import model_of_graph

        return model_of_graph(own, source)


def runs_operators(module: object) -> bool:
    """Whether a module is a graph that calls operators, as exported ones do."""
    return isinstance(module, torch.fx.GraphModule) and any(
        isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes
    )


FORMAT = Exported()
