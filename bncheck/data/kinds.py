"""The kinds of files that samples are read from: those of the modules in `sources`, and those a caller adds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import bncheck.data.sources
from bncheck.data.batches import Source
from bncheck.discovery import added, modules_in
from bncheck.errors import DataError, UsageError
from bncheck.files import is_special
from bncheck.settings import DataSettings
from bncheck.user_code import import_file
from bncheck.vocabulary import argument

_SIGNATURE = 512
"""Bytes of a file that tell its kind."""


def by_name_alone(path: Path, start: bytes) -> bool:
    """Tell nothing by what a file holds."""
    return False


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file.

    Attributes:
        suffixes: in lower case, that its files have where their content does not tell.
        open: gives the samples of a file, read as the settings say, and named so in messages.
        tells: tells by a file and how it starts (512 bytes) that it is of this kind.
        has_columns: one of its columns can be named as the label.
    """

    suffixes: tuple[str, ...]
    open: Callable[[Path, DataSettings, str], Source]
    tells: Callable[[Path, bytes], bool] = by_name_alone
    has_columns: bool = False


_ADDED: ContextVar[tuple[FileKind, ...]] = ContextVar("added", default=())


def known_kinds() -> tuple[FileKind, ...]:
    """Every kind, added ones first."""
    return (*_ADDED.get(), *_own_kinds())


@contextlib.contextmanager
def reading_also(*kinds: FileKind | Path) -> Iterator[None]:
    """Read further kinds of files within the block.

    Args:
        kinds: each a `FileKind`, or a Python file that defines some as `KINDS`; its code is run.

    Raises:
        UsageError: a file defines none.
    """
    given = tuple(kind for one in kinds for kind in ((one,) if isinstance(one, FileKind) else _kinds_in(one)))
    with added(_ADDED, given):
        yield


def kind_of(path: Path) -> FileKind:
    """The kind of a file: by its content where that tells, by its suffix otherwise.

    Raises:
        DataError: it is empty, cannot be read, or is of no kind that is known.
    """
    if is_special(path):
        raise DataError(f"{path} is not read: it is a pipe or a device, which may never end. Name a file.")
    try:
        with path.open("rb") as file:
            start = file.read(_SIGNATURE)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not start:
        raise DataError(f"{path} is empty.")
    kinds = known_kinds()
    found = next((kind for kind in kinds if kind.tells(path, start)), None)
    found = found or next((kind for kind in kinds if path.suffix.lower() in kind.suffixes), None)
    if found is None:
        suffixes = ", ".join(suffix for kind in kinds for suffix in kind.suffixes)
        hint = f" Name what is to be called in it: {path}:CALLABLE." if path.suffix == ".py" else ""
        raise DataError(f"{path}: not a kind of data that is read: {suffixes}.{hint}")
    return found


def _kinds_in(file: Path) -> tuple[FileKind, ...]:
    found = _defined(import_file(str(file), argument("data")))
    if not found:
        raise UsageError(f"{file} reads no kind of file: it defines no KINDS of bncheck.data.FileKind.")
    return found


@cache
def _own_kinds() -> tuple[FileKind, ...]:
    """Those of the modules in `sources`."""
    return tuple(kind for module in modules_in(bncheck.data.sources) for kind in _defined(module))


def _defined(module: Any) -> tuple[FileKind, ...]:
    return tuple(one for one in getattr(module, "KINDS", ()) if isinstance(one, FileKind))
