"""From what the user named or handed over to a source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from bncheck.data.batches import Source
from bncheck.data.forms.parts import type_name
from bncheck.data.kinds import kind_of
from bncheck.data.screening import ScreenedSource
from bncheck.data.sources.arrays import array_source
from bncheck.data.sources.samples import batches_of
from bncheck.data.sources.streams import StreamSource, stream_source
from bncheck.discovery import meant
from bncheck.errors import UsageError
from bncheck.files import shown_as_named, shown_name
from bncheck.settings import DataSettings
from bncheck.user_code import import_callable
from bncheck.vocabulary import argument

_AS_THEY_ARE: Final = DataSettings()
_DATA: Final = argument("data")


def open_data(source: object, reading: DataSettings = _AS_THEY_ARE, named: str = _DATA) -> ScreenedSource:
    """The data that `source` names or is; samples that are not finite are refused as they are read, or left out.

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
    return ScreenedSource(_opened(source, reading, named), skip=reading.skip_bad_samples).sliced(reading.by)


def _opened(source: object, reading: DataSettings, named: str) -> Source:
    if isinstance(source, str | Path):
        with shown_as_named(source):
            return _open_named(source, reading, named)
    inner = source.func if isinstance(source, partial) else source
    name = getattr(inner, "__qualname__", type_name(source))  # functions have one
    _refuse_options_of_tables(name, reading)
    batches_of(source, name)  # of several data sets one is to be given
    if isinstance(source, torch.Tensor | np.ndarray | tuple | Mapping):
        return array_source(name, source, reading)
    if callable(source) and not isinstance(source, Iterable):
        return StreamSource(name, source, reading)
    return stream_source(name, source, reading)


def _open_named(location: str | Path, reading: DataSettings, named: str) -> Source:
    path, name = Path(location), shown_name(location)
    if os.path.isdir(path):  # which, unlike `Path.is_dir`, takes names that no file can have
        _refuse_options_of_tables(name, reading)
        from bncheck.data.sources.image_folder import image_folder

        return image_folder(path, reading, name)
    if os.path.exists(path):
        return _open_file(path, reading, name)
    if isinstance(location, str) and ":" in location:
        _refuse_options_of_tables(name, reading)
        return StreamSource(name, import_callable(location, named), reading)
    raise UsageError(f"{named}: there is no file or folder {location}{meant(location)}.")


def _open_file(path: Path, reading: DataSettings, name: str) -> Source:
    kind = kind_of(path)
    if not kind.has_columns:
        _refuse_options_of_tables(name, reading)
    return kind.open(path, reading, name)


def _refuse_options_of_tables(name: str, reading: DataSettings) -> None:
    for option, given in (("label_column", reading.label_column), ("fill", reading.fill)):
        if given is not None:
            raise UsageError(f"{argument(option)} is for tables (.csv, .parquet); {name} is none.")
