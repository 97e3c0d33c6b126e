"""Writing TorchScript archives again."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bncheck.errors import ModelError
from bncheck.formats.messages import first_line
from bncheck.formats.origin import Origin
from bncheck.formats.programs.archives import extra_files, replace_tensors
from bncheck.formats.torchscript.by_instance import normalize_by_instance
from bncheck.formats.torchscript.checking import check_script
from bncheck.formats.torchscript.layers import list_script_layers
from bncheck.formats.torchscript.reading import is_mobile, load_script
from bncheck.results import Note

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScriptOrigin(Origin):
    """A TorchScript archive.

    Attributes:
        allow_ops: operators that it may call besides those that compute.
    """

    allow_ops: frozenset[str] = frozenset()

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `write_script`."""
        return write_script(self.path, tensors, target, allow_ops=self.allow_ops)

    def write_by_instance(
        self, model: Backend, layers: Sequence[str], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Have every InstanceNorm in the program's code normalize by the instance."""
        return write_script(self.path, {}, target, allow_ops=self.allow_ops, change=normalize_by_instance)


def write_script(
    source: Path,
    tensors: Mapping[str, torch.Tensor],
    target: Path,
    *,
    allow_ops: Collection[str] = (),
    change: Callable[[torch.jit.ScriptModule], None] | None = None,
) -> tuple[Note, ...]:
    """Write the program again: the same code, unless it is to be changed, and modes, its extra files with it."""
    check_script(source, allow_ops)
    extra = extra_files(source)
    program = load_script(source, extra)
    own = dict(program.named_parameters(remove_duplicate=False)) | dict(program.named_buffers(remove_duplicate=False))
    replace_tensors(own | list_script_layers(program).frozen, tensors, source)
    if change is not None:
        change(program)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = _as_mobile(program, extra) if is_mobile(source) else _as_archive(program, extra)
    except Exception as error:  # torch raises whatever its serializer meets
        raise ModelError(f"{source} cannot be written again: {first_line(error)}.") from error
    target.write_bytes(content)
    return ()


def _as_archive(program: torch.jit.ScriptModule, extra: dict[str, bytes]) -> bytes:
    # A disk that is full ends the whole process where torch writes a program to it by itself.
    written = io.BytesIO()
    torch.jit.save(program, written, _extra_files=extra)
    return written.getvalue()


def _as_mobile(program: torch.jit.ScriptModule, extra: dict[str, bytes]) -> bytes:
    """With the bytecode that the interpreter of phones runs: without it, it opens no file."""
    content: bytes = program._save_to_buffer_for_lite_interpreter(_extra_files=extra)
    return content
