"""Pickles read as tensors alone, and the names of what they ask for, read from their opcodes; nothing is run."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from bncheck.files.sparse import sparse_indices_checked
from bncheck.tensors import torch

_STRINGS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING")
_STORES = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FETCHES = ("GET", "BINGET", "LONG_BINGET")
LEGACY_PICKLES = 5
"""Of a checkpoint that is no archive: magic number, protocol, machine, the object, the storages' keys."""
MAPPED = 64 * 2**20
"""Bytes from which on an archive is mapped and not read."""
_LONGEST_NAME = 1000
"""Characters of a class's name; over longer ones torch's own message takes a time that grows with their square."""


def load_tensors(file: IO[bytes], *, mapped: bool = False) -> Any:
    """`torch.load` restricted to tensors, without its warnings.

    Args:
        file: opened for reading.
        mapped: as `read_by_torch`.

    Raises:
        pickle.UnpicklingError: the file asks for more than tensors, or for a name that no class has.
        Exception: whatever else torch raises of a file that is damaged.
    """
    start = file.tell()
    try:
        longest = max(names_asked_for(file), key=len, default="")
    except Exception:  # noqa: BLE001  # what is no archive torch says better
        longest = ""
    if len(longest) > _LONGEST_NAME:
        raise pickle.UnpicklingError(f"GLOBAL {longest[:_LONGEST_NAME]} is no class: {len(longest)} characters")
    file.seek(start)
    with warnings.catch_warnings(), sparse_indices_checked():
        warnings.simplefilter("ignore")
        return read_by_torch(file, weights_only=True, mapped=mapped)


def read_by_torch(file: IO[bytes], *, weights_only: bool, mapped: bool) -> Any:
    """`torch.load`, by which what is looked at is read alone where that is wanted.

    Args:
        file: opened for reading.
        weights_only: as torch's.
        mapped: leave the tensors of a large archive (what `torch.save` writes since PyTorch 1.6) in their file until
            they are looked at. It is never written to; some systems replace no file that is mapped.
    """
    place = getattr(file, "name", None)
    if mapped and isinstance(place, str | os.PathLike) and _is_large_archive(file):
        return torch.load(place, map_location="cpu", weights_only=weights_only, mmap=True)
    return torch.load(file, map_location="cpu", weights_only=weights_only)


def _is_large_archive(file: IO[bytes]) -> bool:
    start = file.tell()
    file.seek(0)
    begins = file.read(4)
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(start)
    return start == 0 and begins == b"PK\x03\x04" and size >= MAPPED


def names_asked_for(file: IO[bytes]) -> list[str]:
    """The classes and functions that the pickle or checkpoint asks for, as `module.name`, in the order of the file.

    A damaged pickle gives those up to the damage.
    """
    file.seek(0)
    zipped = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    return _in_archive(file) if zipped else _in_stream(file)


def buffered(record: IO[bytes]) -> IO[bytes]:
    """The record read in large parts: in small ones a line of megabytes takes minutes."""
    return io.BufferedReader(record, 2**20)  # type: ignore[type-var]  # it has what that takes


def _in_archive(file: IO[bytes]) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
        found: list[str] = []
        for name in pickles:
            with buffered(archive.open(name)) as stream:
                found += _in_stream(stream)
        return found


def _in_stream(stream: IO[bytes]) -> list[str]:
    found: list[str] = []
    try:
        for _ in range(LEGACY_PICKLES):
            found.extend(_in_one_pickle(stream))
    except Exception:  # noqa: BLE001  # the end of the file, or damage: what was found stands
        return found
    return found


def _in_one_pickle(stream: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    memo: list[str | None] = []
    newest: str | None = None
    for opcode, argument, _ in pickletools.genops(stream):
        pushed: str | None = None
        if opcode.name in _STRINGS:
            pushed = str(argument)
        elif opcode.name in _FETCHES:
            pushed = memo[int(str(argument))]
        elif opcode.name in _STORES:
            # The older opcodes number their entries too, and in practice from 0 upwards.
            memo.append(newest)
        elif opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:]) or "something unnamed"
        newest = pushed
        if pushed is not None:
            strings.append(pushed)
