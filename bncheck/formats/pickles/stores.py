"""Where a checkpoint keeps its pickle and its storages: an archive, a stream, or a pickle that has all of it inside."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from bncheck.errors import ModelError
from bncheck.formats.pickles.admitted import NAMES
from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.machine import Machine
from bncheck.formats.pickles.made import Known, NotMadeError
from bncheck.formats.pickles.placeholders import ForeignName
from bncheck.formats.pickles.storages import Storage, StorageId, StorageType, bytes_of, memory_of, read_id
from bncheck.tensors import torch

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_PICKLE = "data.pkl"
_LOCAL = struct.Struct("<26xHH")
"""Of a record's own header in an archive: the lengths of its name and of what else stands before its content."""
_NUMBER = struct.Struct("<q")


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the bytes of a storage stand in the file.

    Attributes:
        memory: that was filled from it.
        offset: of its first byte.
        record: its name in an archive; `None` in a stream, or where it is packed.
        is_plain: it stands there as it is, in this machine's order of bytes.
    """

    memory: torch.UntypedStorage
    offset: int
    record: str | None = None
    is_plain: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ReadAsData:
    """What was read of a checkpoint without running anything.

    Attributes:
        content: containers, numbers, texts, tensors and placeholders.
        asked: the names that it asked for and nobody looked up.
        places: of its storages, by key; none of those that stand within a pickle.
        holds_tensors: whether there is any storage.
    """

    content: Any
    asked: tuple[str, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    holds_tensors: bool = True


def read_archive(file: IO[bytes], size: int) -> ReadAsData:
    """A zip checkpoint of PyTorch; raises whatever damage provokes."""
    with zipfile.ZipFile(file) as archive:
        members = archive.namelist()
        if len(set(members)) < len(members):
            raise ModelError("It holds a record twice, so that readers may differ. Save the model again.")
        pickle = next(name for name in members if name == _PICKLE or name.endswith(f"/{_PICKLE}"))
        folder = pickle.removesuffix(_PICKLE)
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in members else b"little"
        if order not in (b"little", b"big"):
            raise ValueError("its order of bytes is none")
        places: dict[str, Place] = {}

        def stored(given: Any) -> Storage:
            wanted = read_id(given)
            if wanted.key not in places:
                info = archive.getinfo(f"{folder}data/{wanted.key}")
                place = Place(
                    memory_of(info.file_size)[0],
                    _content_of(file, info),
                    info.filename,
                    info.compress_type == zipfile.ZIP_STORED and order == b"little",
                )
                with archive.open(info) as record:
                    _fill(bytes_of(place.memory), record)
                if order == b"big":
                    place.memory.byteswap(wanted.dtype)  # type: ignore[no-untyped-call]
                places[wanted.key] = place
            return _within(wanted, places[wanted.key].memory)

        machine = Machine(stored, Budget(size))
        content = machine.load(io.BytesIO(archive.read(pickle)))
    return ReadAsData(content, tuple(machine.asked), places, bool(places))


def read_stream(file: IO[bytes], size: int) -> ReadAsData:
    """A checkpoint from before PyTorch 1.6: pickles after one another, then the storages; raises what damage provokes.

    The pickle is read twice, first for the sizes of the storages: they stand behind it.
    """
    budget = Budget(size)
    bounded: Any = Bounded(file, size)
    if _plain(bounded, budget) != _MAGIC or _plain(bounded, budget) != _PROTOCOL:
        raise ValueError("it does not begin as a checkpoint")
    machine_of_old = _plain(bounded, budget)
    if not isinstance(machine_of_old, dict) or machine_of_old.get("little_endian") is not True:
        raise ValueError("it was written in another order of bytes")
    begin = file.tell()
    wanted: dict[str, StorageId] = {}
    Machine(lambda given: _noted(given, wanted), budget, _TYPES_ALONE).load(bounded)
    if sum(one.nbytes for one in wanted.values()) > size:
        raise ValueError("it declares more than it holds")
    places: dict[str, Place] = {}
    for key in _plain(bounded, budget):
        (count,) = _NUMBER.unpack(file.read(_NUMBER.size))
        memory, view = memory_of(wanted[key].nbytes)
        if count * wanted[key].dtype.itemsize != len(view):
            raise ValueError("a storage has not the size that its name says")
        places[key] = Place(memory, file.tell())
        _fill(view, file)
    file.seek(begin)
    machine = Machine(lambda given: _stored(given, places), Budget(size))
    content = machine.load(bounded)
    return ReadAsData(content, tuple(machine.asked), places, bool(places))


def read_plain(file: IO[bytes], size: int) -> ReadAsData:
    """What `pickle` wrote, whose tensors hold checkpoints of one storage each; raises whatever damage provokes."""
    inner: list[torch.UntypedStorage] = []

    def from_bytes(arguments: tuple[Any, ...], budget: Budget) -> Storage:
        if len(arguments) != 1 or not isinstance(arguments[0], bytes):
            raise NotMadeError
        budget.charge(len(arguments[0]))
        held = read_stream(io.BytesIO(arguments[0]), len(arguments[0])).content
        if not isinstance(held, Storage):
            raise NotMadeError
        inner.append(held.memory)
        return held

    names = {**NAMES, _OF_BYTES: Known(_OF_BYTES, from_bytes)}
    machine = Machine(_no_storage, Budget(size), names)
    bounded: Any = Bounded(file, size)
    content = machine.load(bounded)
    return ReadAsData(content, tuple(machine.asked), holds_tensors=bool(inner))


class Bounded:
    """A stream that is never asked for more bytes than the file has: reading a size that is a lie would take them."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size
        self.readline, self.tell = file.readline, file.tell

    def read(self, count: int) -> bytes:
        """So many bytes, or those that are left."""
        return self._file.read(max(0, min(count, self._size - self._file.tell())))


_OF_BYTES = "torch.storage._load_from_bytes"
_TYPES_ALONE: Mapping[str, ForeignName] = {name: kind for name, kind in NAMES.items() if isinstance(kind, StorageType)}


def _plain(stream: Any, budget: Budget) -> Any:
    """A pickle of plain values."""
    return Machine(_no_storage, budget, {}).load(stream)


def _no_storage(given: Any) -> Any:
    raise ValueError("it names a storage where none can be")


def _noted(given: Any, wanted: dict[str, StorageId]) -> None:
    if not _is_source(given):
        found = read_id(given)
        wanted.setdefault(found.key, found)


def _stored(given: Any, places: Mapping[str, Place]) -> Any:
    if _is_source(given):
        return given[1]
    wanted = read_id(given)
    return _within(wanted, places[wanted.key].memory)


def _is_source(given: Any) -> bool:
    """Whether it is a class with the text of its source, which older versions of PyTorch wrote beside it."""
    return isinstance(given, tuple) and len(given) > 1 and given[0] == "module"


def _within(wanted: StorageId, memory: torch.UntypedStorage) -> Storage:
    if wanted.nbytes > memory.nbytes():
        raise ValueError("a storage is shorter than its name says")
    return Storage(memory, wanted.dtype, wanted.first)


def _content_of(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where a record's content begins."""
    file.seek(info.header_offset)
    name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    return info.header_offset + _LOCAL.size + int(name) + int(extra)


def _fill(view: memoryview, record: IO[bytes]) -> None:
    done = 0
    while done < len(view):
        read = record.readinto(view[done : done + 2**24])  # type: ignore[attr-defined]  # both kinds of file have it
        if not read:
            raise EOFError("a storage ends too early")
        done += read
