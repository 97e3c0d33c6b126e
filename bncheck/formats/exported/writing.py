"""`torch.export` archives (`.pt2`)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from bncheck.errors import ModelError
from bncheck.formats.exported.reading import load_exported, quietly
from bncheck.formats.messages import first_line
from bncheck.formats.stored_values import in_form_of
from bncheck.formats.torchscript.writing import extra_files
from bncheck.results.notes import Note


def write_exported(
    source: Path,
    tensors: Mapping[str, torch.Tensor],
    target: Path,
    *,
    trust_pickle: bool,
    allow_ops: Collection[str] = (),
) -> tuple[Note, ...]:
    """Write the program again with its graph, signature, guards and extra files as they are."""
    _require_one_program(source)
    extra: dict[str, Any] = dict.fromkeys(extra_files(source, "extra/"), "")
    exported = load_exported(source, trust_pickle=trust_pickle, allow_ops=allow_ops, extra_files=extra)
    with torch.no_grad():
        for name, new in tensors.items():
            old = exported.state_dict.get(name, exported.constants.get(name))
            if not isinstance(old, torch.Tensor):
                raise ModelError(f"{source} has no tensor {name} that could be replaced.")
            old.copy_(in_form_of(old, new, name))
    written = io.BytesIO()  # a disk that is full ends the whole process where torch writes a program to it by itself
    try:
        with quietly():
            torch.export.save(exported, written, extra_files=extra)
    except Exception as error:  # torch raises whatever its serializer meets
        raise ModelError(f"{source} cannot be written again: {first_line(error)}.") from error
    target.write_bytes(written.getbuffer())
    return ()


def _require_one_program(source: Path) -> None:
    with zipfile.ZipFile(source) as opened:
        inner = [name.partition("/")[2] for name in opened.namelist()]
    programs = [name for name in inner if name.startswith("models/") and name.endswith(".json")]
    if len(programs) > 1:
        raise ModelError(f"{source} holds {len(programs)} programs; repair each of them in a file of its own.")
