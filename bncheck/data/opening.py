"""From what the user named or handed over to a source."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from bncheck.data.batches import Source
from bncheck.data.conversion import type_name
from bncheck.data.sources.array_files import read_npy, read_npz, read_pt, read_safetensors
from bncheck.data.sources.arrays import array_source
from bncheck.data.sources.image_folder import image_folder
from bncheck.data.sources.streams import StreamSource, stream_source
from bncheck.data.sources.tables import read_csv, read_parquet
from bncheck.data.sources.webdataset import tar_source
from bncheck.errors import DataError, UsageError
from bncheck.settings import DataSettings
from bncheck.user_code import import_callable
from bncheck.vocabulary import argument

_ARRAY_READERS: Final = {"npz": read_npz, "npy": read_npy, "pt": read_pt, "safetensors": read_safetensors}
_TABLE_READERS: Final = {"csv": read_csv, "parquet": read_parquet}
_KIND_OF_SUFFIX: Final = {
    ".npz": "npz",
    ".npy": "npy",
    ".pt": "pt",
    ".pth": "pt",
    ".safetensors": "safetensors",
    ".csv": "csv",
    ".parquet": "parquet",
    ".tar": "tar",
}
_AS_THEY_ARE: Final = DataSettings()
_DATA: Final = argument("data")


def open_data(source: object, reading: DataSettings = _AS_THEY_ARE, named: str = _DATA) -> Source:
    """The data that `source` names or is.

    Args:
        source: a path (string or `Path`) of an `.npz`, `.npy`, `.pt`, `.safetensors`, `.csv`, `.parquet` or
            WebDataset `.tar` file or of a folder of images; a string ``FILE.py:CALLABLE`` or
            ``package.module:CALLABLE``, whose code is run; an array or tensor, a tuple ``(x, y)`` or a dict of
            them; an iterable of batches such as a DataLoader; or a function that gives one. An iterator that
            can be read only once is read now, and its batches are kept in memory.
        reading: how they are to be read and preprocessed.
        named: the argument that asked for them, as errors name it.

    Raises:
        UsageError: there is no such file or callable, or an option does not apply to these data.
        DataError: the data are empty, damaged, or of a form that is not accepted.
    """
    if isinstance(source, str | Path):
        return _open_named(source, reading, named)
    inner = source.func if isinstance(source, partial) else source
    name = getattr(inner, "__qualname__", type_name(source))  # functions have one
    _refuse_label_column(name, reading)
    if isinstance(source, torch.Tensor | np.ndarray | tuple | Mapping):
        return array_source(name, source, reading)
    if callable(source) and not isinstance(source, Iterable):
        return StreamSource(name, source, reading)
    return stream_source(name, source, reading)


def require_named(source: object, named: str = _DATA) -> None:
    """Raises `UsageError` where `source` names a file or folder that does not exist; reads and imports nothing."""
    if not isinstance(source, str | Path) or Path(source).exists():
        return
    location = str(source).rpartition(":")[0]
    if not location or (location.endswith(".py") and not Path(location).is_file()):
        raise UsageError(f"{named}: there is no file or folder {location or source}.")


def _open_named(location: str | Path, reading: DataSettings, named: str) -> Source:
    path, name = Path(location), str(location)
    if path.is_dir():
        _refuse_label_column(name, reading)
        return image_folder(path, reading, name)
    if path.exists():
        return _open_file(path, reading, name)
    if isinstance(location, str) and ":" in location:
        _refuse_label_column(name, reading)
        return StreamSource(name, import_callable(location, named), reading)
    raise UsageError(f"{named}: there is no file or folder {location}.")


def _open_file(path: Path, reading: DataSettings, name: str) -> Source:
    kind = _recognise(path)
    if kind in _TABLE_READERS:
        table = _TABLE_READERS[kind](path, reading.label_column)
        return array_source(name, table.value, reading, hint=table.hint)
    _refuse_label_column(name, reading)
    if kind == "tar":
        return tar_source(path, reading, name)
    return array_source(name, _ARRAY_READERS[kind](path), reading)


def _recognise(path: Path) -> str:
    """The kind of the file: by its content where that tells, by its suffix otherwise."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not start:
        raise DataError(f"{path} is empty.")
    kind = _kind_of_content(path, start) or _KIND_OF_SUFFIX.get(path.suffix.lower())
    if kind is None:
        hint = f" Name what is to be called in it: {path}:CALLABLE." if path.suffix == ".py" else ""
        raise DataError(f"{path}: not a kind of data that is read: {', '.join(_KIND_OF_SUFFIX)}.{hint}")
    return kind


def _kind_of_content(path: Path, start: bytes) -> str | None:
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start[257:262] == b"ustar":
        return "tar"
    if start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") <= path.stat().st_size - 8:
        return "safetensors"
    return _kind_of_zip(path) if start.startswith(b"PK\x03\x04") else None


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None  # its reader says what is wrong
    if any(member.endswith("data.pkl") for member in members):
        return "pt"
    return "npz" if members and all(member.endswith(".npy") for member in members) else None


def _refuse_label_column(name: str, reading: DataSettings) -> None:
    if reading.label_column is not None:
        raise UsageError(f"{argument('label_column')} is for tables (.csv, .parquet); {name} is none.")
