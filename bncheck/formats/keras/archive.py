"""Members of a `.keras` archive: read by their exact names, within bounds, and nothing is unpacked to disk."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError
from bncheck.formats.declared import require_backed, room
from bncheck.formats.keras import CONFIG, WEIGHTS

_LARGEST_CONFIG = 2**26
"""Bytes of a configuration; a network of ten thousand layers has a tenth of it."""


def read_archive(path: Path) -> tuple[Any, bytes]:
    """The configuration of an archive, and its HDF5 file.

    Raises:
        ModelError: it is damaged, holds a member twice, keeps its weights otherwise, or comes to far more than it has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = Counter(archive.namelist())
            if twice := [name for name, count in names.items() if count > 1]:
                raise ModelError(f"{path} holds {twice[0]} twice: it is damaged or was edited, and was not read.")
            if WEIGHTS not in names:
                raise ModelError(
                    f"{path} keeps its weights as NumPy arrays, which is not read: save the model with a current Keras."
                )
            config = _member(archive, CONFIG, _LARGEST_CONFIG, path)
            return parsed(config, path), _member(archive, WEIGHTS, room(path.stat().st_size), path)
    except (EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} cannot be unpacked: {error}. Copy or download it again.") from error


def parsed(text: bytes | str, path: Path) -> Any:
    """A configuration as values.

    Raises:
        ModelError: it is no JSON, or nested without end.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its configuration is no JSON that can be read. Save the model again.") from error


def _member(archive: zipfile.ZipFile, name: str, limit: int, path: Path) -> bytes:
    """The bytes of a member; what it declares is asked first, and what comes is counted."""
    info = archive.getinfo(name)
    require_backed(info.file_size, info.compress_size, f"{name} of {path}")
    with archive.open(info) as file:
        content = file.read(min(limit, info.file_size) + 1)
    if len(content) > limit or len(content) > info.file_size:
        raise ModelError(f"{path}: its {name} is larger than anything Keras writes there, and was not read.")
    return content
