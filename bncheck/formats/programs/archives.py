"""What TorchScript and exported programs share as files: zip archives with a folder for files of the user's own."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bncheck.errors import ModelError
from bncheck.formats.stored_values import put_into


def extra_files(archive: Path, folder: str = "extra/") -> dict[str, Any]:
    """Names of what was put into an archive beside the program, for torch to fill in and to write again.

    Args:
        archive: the file.
        folder: in it, which torch keeps for that.
    """
    with zipfile.ZipFile(archive) as opened:
        inner = [name.partition("/")[2] for name in opened.namelist()]
    names = (name.removeprefix(folder) for name in inner if name.startswith(folder) and name != folder)
    return dict.fromkeys(names, "")


def replace_tensors(held: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], source: Path) -> None:
    """Write new values into a program's own tensors.

    Args:
        held: the program's tensors by name.
        tensors: the new values.
        source: the file, for messages.

    Raises:
        ModelError: the program has no such tensor, or it cannot take the value.
    """
    with torch.no_grad():
        for name, new in tensors.items():
            old = held.get(name)
            if not isinstance(old, torch.Tensor):
                raise ModelError(f"{source} has no tensor {name} that could be replaced.")
            put_into(old, new, name)
