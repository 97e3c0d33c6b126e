"""Writing `torch.export` archives (`.pt2`) again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.fx import Graph

from bncheck.errors import ModelError
from bncheck.formats.exported.layers import arguments_of
from bncheck.formats.exported.reading import load_exported, quietly
from bncheck.formats.messages import first_line
from bncheck.formats.origin import Origin
from bncheck.formats.programs.archives import extra_files, replace_tensors
from bncheck.results import Note

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ExportOrigin(Origin):
    """A `torch.export` archive.

    Attributes:
        trust_pickle: it is loaded unchecked.
        allow_ops: operators that it may call besides those that compute.
    """

    trust_pickle: bool = False
    allow_ops: frozenset[str] = frozenset()

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `write_exported`."""
        return write_exported(self.path, tensors, target, trust_pickle=self.trust_pickle, allow_ops=self.allow_ops)

    def write_by_instance(
        self, model: Backend, layers: Sequence[str], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Have every InstanceNorm that the graph calls as such normalize by the instance."""
        return write_exported(
            self.path,
            {},
            target,
            trust_pickle=self.trust_pickle,
            allow_ops=self.allow_ops,
            change=_normalize_by_instance,
        )


def write_exported(
    source: Path,
    tensors: Mapping[str, torch.Tensor],
    target: Path,
    *,
    trust_pickle: bool,
    allow_ops: Collection[str] = (),
    change: Callable[[Graph], None] | None = None,
) -> tuple[Note, ...]:
    """Write the program again with its signature, guards and extra files; its graph stays, but for `change`."""
    _require_one_program(source)
    extra = extra_files(source)
    exported = load_exported(source, trust_pickle=trust_pickle, allow_ops=allow_ops, extra_files=extra)
    replace_tensors({**exported.constants, **exported.state_dict}, tensors, source)
    if change is not None:
        change(exported.graph)
    written = io.BytesIO()  # a disk that is full ends the whole process where torch writes a program to it by itself
    try:
        with quietly():
            torch.export.save(exported, written, extra_files=extra)
    except Exception as error:  # torch raises whatever its serializer meets
        raise ModelError(f"{source} cannot be written again: {first_line(error)}.") from error
    target.write_bytes(written.getbuffer())
    return ()


def _normalize_by_instance(graph: Graph) -> None:
    """Give no InstanceNorm its stored statistics; they stay in the archive, and nothing refers to them any more."""
    for node in graph.nodes:
        if node.target is torch.ops.aten.instance_norm.default:
            given = arguments_of(node) | {"running_mean": None, "running_var": None, "use_input_stats": True}
            node.args, node.kwargs = tuple(given.values()), {}


def _require_one_program(source: Path) -> None:
    with zipfile.ZipFile(source) as opened:
        inner = [name.partition("/")[2] for name in opened.namelist()]
    programs = [name for name in inner if name.startswith("models/") and name.endswith(".json")]
    if len(programs) > 1:
        raise ModelError(f"{source} holds {len(programs)} programs; repair each of them in a file of its own.")
