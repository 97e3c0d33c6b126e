"""What a pickle asks for, read from its opcodes; nothing is run."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from typing import IO

from torch import _weights_only_unpickler

_STRINGS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING")
_STORES = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FETCHES = ("GET", "BINGET", "LONG_BINGET")
_LEGACY_PICKLES = 5  # magic number, protocol, machine, the object, the storages' keys; then raw storages


def blocked_globals(file: IO[bytes]) -> list[str]:
    """The classes and functions that the pickle or checkpoint asks for and `weights_only` does not admit.

    Each once, as `module.name`, in the order of the file; a damaged pickle gives those up to the damage.
    """
    file.seek(0)
    zipped = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    names = _in_archive(file) if zipped else _in_stream(file)
    admitted = _admitted()
    return [name for name in dict.fromkeys(names) if name not in admitted]


def is_whole_pickle(file: IO[bytes]) -> bool:
    """Whether the file begins with a pickle that reaches its end."""
    try:
        return [opcode.name for opcode, _, _ in pickletools.genops(file)][-1] == "STOP"
    except Exception:  # noqa: BLE001  # pickletools raises whatever the damage provokes
        return False


def pickles_are_whole(file: IO[bytes]) -> bool:
    """Whether every pickle of a checkpoint reaches its end; what the storages hold is not looked at."""
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)
        return all(is_whole_pickle(file) for _ in range(_LEGACY_PICKLES))
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".pkl")]
        return all(is_whole_pickle(_buffered(archive.open(name))) for name in names)


def _in_archive(file: IO[bytes]) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
        found: list[str] = []
        for name in pickles:
            with _buffered(archive.open(name)) as stream:
                found += _in_stream(stream)
        return found


def _buffered(record: IO[bytes]) -> IO[bytes]:
    """The record read in large parts: in small ones a line of megabytes takes minutes."""
    return io.BufferedReader(record, 2**20)  # type: ignore[type-var]  # it has what that takes


def _in_stream(stream: IO[bytes]) -> list[str]:
    found: list[str] = []
    try:
        for _ in range(_LEGACY_PICKLES):
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


def _admitted() -> set[str]:
    """What `weights_only` admits by default. The wording of a refusal depends on it, never the refusal."""
    return set(getattr(_weights_only_unpickler, "_get_allowed_globals", dict)())
