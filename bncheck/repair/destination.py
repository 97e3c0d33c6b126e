"""Where a repaired model goes, and what must never be overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bncheck.errors import UsageError
from bncheck.models.recognise import ONNX_FILE, SAFETENSORS_INDEX
from bncheck.models.weights import shard_paths


def destination(out: Path, model: Path, container: str) -> Path:
    """The file that `--out` means: for a sharded model it may name the folder that takes the index and its shards.

    Raises:
        UsageError: it is a folder where a file is needed, or lies in none.
    """
    if container == SAFETENSORS_INDEX and (out.is_dir() or out.suffix != ".json"):
        if not out.absolute().parent.is_dir():
            raise UsageError(f"--out {out}: there is no folder {out.parent}.")
        return out / model.name
    if out.is_dir():
        raise UsageError(f"--out {out}: that is a folder; name a file in it.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    return out


def files_of(model: Path, container: str) -> tuple[Path, ...]:
    """Every file the model consists of: shards and external data too."""
    if container == SAFETENSORS_INDEX:
        return (model, *shard_paths(model))
    if container == ONNX_FILE:
        from bncheck.models.onnx_reading import read_onnx  # other models do without onnx

        return (model, *read_onnx(model)[1])
    return (model,)


def require_free(targets: Iterable[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write over an input, whatever it is called there, and over anything else unless that is wanted.

    Raises:
        UsageError: one of `targets` is an input (also through links), or exists and `overwrite` is not set.
    """
    guarded = [path for path in inputs if path.exists()]
    for target in targets:
        if any(_same_file(target, path) for path in guarded):
            raise UsageError(f"--out {target}: that is one of the inputs, and inputs are never overwritten.")
        if target.exists() and not overwrite:
            raise UsageError(f"--out {target}: it exists already; name another file, or pass --overwrite.")


def _same_file(target: Path, path: Path) -> bool:
    if os.path.realpath(target) == os.path.realpath(path):
        return True
    return target.exists() and target.samefile(path)
