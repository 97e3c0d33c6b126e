"""The state of an interrupted run: written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bncheck.errors import DataError, UsageError
from bncheck.files import load_tensors, require_place, written_whole
from bncheck.vocabulary import argument

VERSION = 2


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Put `content` at `path`, atomically: a temporary file beside it, synced, renamed.

    Raises:
        UsageError: the folder cannot be written to.
    """
    buffer = io.BytesIO()
    torch.save({"bncheck_fine_tuning": VERSION, **content}, buffer)
    with written_whole(path, argument("resume")) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path, run: Mapping[str, str]) -> dict[str, Any] | None:
    """What was written to `path` by a run of the same description; `None` where there is no file.

    Raises:
        DataError: it is no checkpoint of a fine-tuning.
        UsageError: it belongs to another run.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            content = load_tensors(file)
    except Exception as error:
        raise DataError(f"{path} is no checkpoint that can be read; delete it, or name another file.") from error
    if not isinstance(content, dict) or content.get("bncheck_fine_tuning") != VERSION:
        raise DataError(f"{path} is no checkpoint of a bncheck fine-tuning; name another file.")
    stored = content["run"]
    other = [name for name in sorted({*run, *stored}) if run.get(name) != stored.get(name)]
    if other:
        verb = "differs" if len(other) == 1 else "differ"
        raise UsageError(
            f"{path} is the checkpoint of another run: {', '.join(other)} {verb}. Continue with what that run was "
            "started with, or delete the file to start anew."
        )
    return content


def fingerprint(state: Mapping[str, torch.Tensor]) -> str:
    """A digest of names and values, to know the same model again."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def require_writable(path: Path | None) -> None:
    """Refuse a checkpoint that could not be written in the end.

    Raises:
        UsageError: it is.
    """
    if path is None:
        return
    require_place(path, argument("resume"))
    if not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(f"{argument('resume')} {path}: the folder cannot be written to.")


def forget_checkpoint(path: Path | None) -> None:
    """Delete a checkpoint that is of no more use."""
    if path is not None:
        path.unlink(missing_ok=True)
