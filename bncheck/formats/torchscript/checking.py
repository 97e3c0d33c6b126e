"""What a TorchScript archive would run, found out before PyTorch loads it.

Loading runs code: objects are built by their class's `__setstate__`. So whatever the archive's source can reach is
looked at first, also what nothing calls, and the classes written in C++ that its pickles ask for. The archive is read
by PyTorch's own reader, since another might find other records in a file made to be ambiguous.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import torch

from bncheck.errors import ModelError
from bncheck.formats.messages import listed
from bncheck.formats.pickles.reading import damaged
from bncheck.formats.programs.operators import require_admitted
from bncheck.formats.torchscript.source import UnusualSourceError, used_by
from bncheck.formats.torchscript.storages import require_within_storages

_CLASS_IN_PICKLE = re.compile(rb"torch[.\n]classes[.\n](\w+)[.\n](\w+)")
_FLATBUFFER = b"PTMF"
_OLD_LAYOUT = "model.json"
_LOADED = ("data.pkl", "constants.pkl")


def check_script(path: Path, allow_ops: Collection[str] = ()) -> None:
    """Raise ModelError where loading or running the archive would do more than compute; nothing is run.

    Args:
        path: the archive.
        allow_ops: what the user allows besides.
    """
    with path.open("rb") as file:
        if file.read(8)[4:] == _FLATBUFFER:
            raise ModelError(f"{path} is two files in one, a zip archive and a mobile model: it is not loaded.")
        _check_archive(file, path, allow_ops)


def _check_archive(file: BinaryIO, path: Path, allow_ops: Collection[str]) -> None:
    file.seek(0)
    try:
        reader = torch._C.PyTorchFileReader(file)  # by its name it opens no file whose name is not UTF-8
        records = {name: name.lower() for name in reader.get_all_records()}
    except (RuntimeError, UnicodeDecodeError) as error:
        raise ModelError(damaged(path, error)) from error
    twice = [name for name, times in Counter(records.values()).items() if times > 1]
    if twice:
        raise ModelError(f"{path} holds {listed(twice)} twice, so it is not clear what would be loaded.")
    if _OLD_LAYOUT in records.values():
        raise ModelError(f"{path} was written by a PyTorch before 1.2. Load it there and save it again.")
    require_admitted(_used(reader, records, path), path, allow_ops)


def _used(reader: torch._C.PyTorchFileReader, records: dict[str, str], path: Path) -> Iterator[str]:
    for name, lowered in records.items():
        if lowered.endswith(".py"):
            yield from _used_in_source(_read(reader, name, path), name, path)
        elif lowered.endswith(".pkl"):
            content = _read(reader, name, path)
            _require_stored(content, name, reader, records, path)
            for match in _CLASS_IN_PICKLE.finditer(content):
                yield f"torch.classes.{match[1].decode()}.{match[2].decode()}"


def _used_in_source(content: bytes, name: str, path: Path) -> Iterator[str]:
    try:
        yield from used_by(content.decode())
    except ValueError as error:
        reason = error if isinstance(error, UnusualSourceError) else "it is no UTF-8"
        raise ModelError(
            f"{path} is a TorchScript archive that cannot be loaded: its {name} is not written as PyTorch writes and "
            f"reads it: {reason}. Save the module again with torch.jit.save, its classes named in ASCII."
        ) from error


def _read(reader: torch._C.PyTorchFileReader, name: str, path: Path) -> bytes:
    try:
        content: bytes = reader.get_record(name)
    except (RuntimeError, UnicodeDecodeError) as error:
        raise ModelError(damaged(path, error)) from error
    return content


def _require_stored(
    content: bytes, name: str, reader: torch._C.PyTorchFileReader, records: Iterable[str], path: Path
) -> None:
    """Raise ModelError where a tensor of a pickle that the loader reads is not all in the archive."""
    if name not in _LOADED:
        return
    stored = {record for record in records if not record.endswith((".py", ".pkl"))}
    folder = name.removesuffix(".pkl")

    def record_of(key: str) -> bytes | None:
        record = f"{folder}/{key}"
        return _read(reader, record, path) if record in stored else None

    try:
        require_within_storages(content, record_of)
    except Exception as error:
        raise ModelError(damaged(path, error)) from error
