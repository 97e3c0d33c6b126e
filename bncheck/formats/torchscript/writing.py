"""TorchScript archives."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from bncheck.errors import ModelError
from bncheck.formats.stored_values import in_form_of
from bncheck.formats.torchscript.checking import check_script
from bncheck.formats.torchscript.reading import frozen_constants, load_script
from bncheck.results.notes import Note


def write_script(
    source: Path, tensors: Mapping[str, torch.Tensor], target: Path, *, allow_ops: Collection[str] = ()
) -> tuple[Note, ...]:
    """Write the program again: the same code and modes, its extra files with it."""
    check_script(source, allow_ops)
    extra = dict.fromkeys(extra_files(source, "extra/"), "")
    program = load_script(source, extra)
    own = dict(program.named_parameters(remove_duplicate=False)) | dict(program.named_buffers(remove_duplicate=False))
    own |= frozen_constants(program)
    with torch.no_grad():
        for name, new in tensors.items():
            if name not in own:
                raise ModelError(f"{source} has no tensor {name} that could be replaced.")
            own[name].copy_(in_form_of(own[name], new, name))
    written = io.BytesIO()  # a disk that is full ends the whole process where torch writes a program to it by itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(program, written, _extra_files=extra)
    target.write_bytes(written.getbuffer())
    return ()


def extra_files(archive: Path, folder: str) -> list[str]:
    """Names of what was put into an archive beside the program, in a folder of it that torch keeps for that."""
    with zipfile.ZipFile(archive) as opened:
        inner = [name.partition("/")[2] for name in opened.namelist()]
    return [name.removeprefix(folder) for name in inner if name.startswith(folder) and name != folder]
