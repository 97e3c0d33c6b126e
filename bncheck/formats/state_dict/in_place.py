"""Writing tensors into a checkpoint that was read as data: their bytes change where they stand, and no other."""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bncheck.errors import ModelError
from bncheck.formats.format import Container
from bncheck.formats.pickles.reading import Loaded, load_pickle
from bncheck.formats.pickles.storages import bytes_of
from bncheck.formats.pickles.stores import Place
from bncheck.formats.state_dict import ZIP_CHECKPOINT
from bncheck.formats.state_dict.copies import tensors_of
from bncheck.formats.state_dict.nesting import Candidate, choose, others
from bncheck.formats.state_dict.origin import TensorsOrigin
from bncheck.formats.stored_values import as_file_stores, put_into
from bncheck.formats.torch_module.wrappers import unwrapped
from bncheck.results import Note, SharedChanged
from bncheck.tensors import torch
from bncheck.vocabulary import argument

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend

_CHECKSUM = struct.Struct("<I")
_AT_LOCAL, _AT_CENTRAL = 14, 16
"""Where the checksum stands in a record's own header, and in its entry of the table of contents."""
_CENTRAL = struct.Struct("<4s24xHHH12x")
_DESCRIBED = 0x08
"""The flag of a record whose checksum stands behind it."""
_SIGNATURE = b"PK\x07\x08"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DataOrigin(TensorsOrigin):
    """A checkpoint with foreign objects in it, which were not imported and so cannot be pickled again."""

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `write_in_place`."""
        return write_in_place(self, tensors, target)


def write_in_place(origin: DataOrigin, tensors: Mapping[str, torch.Tensor], target: Path) -> tuple[Note, ...]:
    """Copy the file and replace the bytes of these tensors; everything else stays, byte for byte.

    Raises:
        ModelError: the file lacks one of them, or packs it so that its bytes cannot be replaced by themselves.
    """
    loaded = load_pickle(origin.path, origin.container)
    chosen = choose(loaded.content, str(origin.path), key=origin.key)[0]
    held = _held_by(chosen)
    changed: set[int] = set()
    with torch.no_grad():
        for name, new in tensors.items():
            for known in origin.names.get(name, (name,)):
                old = held.get(known)
                if old is None:
                    raise ModelError(_no_room(origin.path, known))
                put_into(old.detach(), as_file_stores(new, name, known), known)
                changed.add(old.untyped_storage()._cdata)
    shutil.copyfile(origin.path, target)
    _replace(target, origin.container, [_place_of(memory, loaded, origin.path) for memory in changed])
    return _shared(loaded, chosen, changed)


def _held_by(chosen: Candidate) -> dict[str, torch.Tensor]:
    if isinstance(chosen.content, torch.nn.Module):
        return tensors_of(Candidate(chosen.path, unwrapped(chosen.content)))
    return tensors_of(chosen)


def _place_of(memory: int, loaded: Loaded, path: Path) -> Place:
    place = next((one for one in loaded.places.values() if one.memory._cdata == memory), None)
    if place is None:
        raise ModelError(
            f"{path} was written by pickle, not by torch.save: its tensors cannot be replaced without running it. "
            f"Save it with torch.save, or pass {argument('trust_pickle')} if you trust it, and repair that."
        )
    if not place.is_plain:
        raise ModelError(
            f"{path} is compressed, or of another order of bytes, so its tensors cannot be replaced where they stand. "
            "Save it with torch.save, and repair that."
        )
    return place


def _replace(target: Path, container: Container, places: list[Place]) -> None:
    """Write the memory of the places over what stands there; archives keep a checksum of it, in two places."""
    with target.open("r+b") as file:
        for place in places:
            file.seek(place.offset)
            file.write(bytes_of(place.memory))
    if container != ZIP_CHECKPOINT:
        return
    with zipfile.ZipFile(target) as archive:
        records = {info.filename: info for info in archive.infolist()}
        begin = archive.start_dir
    changed = {place.record: zlib.crc32(bytes_of(place.memory)) for place in places}
    with target.open("r+b") as file:
        _write_central(file, begin, changed)
        for place in places:
            info = records[str(place.record)]
            checksum = _CHECKSUM.pack(changed[place.record])
            if not info.flag_bits & _DESCRIBED:
                _write_at(file, info.header_offset + _AT_LOCAL, checksum)
                continue
            behind = place.offset + info.file_size
            file.seek(behind)
            _write_at(file, behind + (len(_SIGNATURE) if file.read(4) == _SIGNATURE else 0), checksum)


def _write_central(file: IO[bytes], begin: int, changed: Mapping[str | None, int]) -> None:
    """Go through the table of contents, entry by entry."""
    at = begin
    while True:
        file.seek(at)
        header = file.read(46)
        if not header.startswith(b"PK\x01\x02"):
            return
        _, name, extra, comment = _CENTRAL.unpack(header)
        checksum = changed.get(file.read(name).decode("utf-8", "replace"))
        if checksum is not None:
            _write_at(file, at + _AT_CENTRAL, _CHECKSUM.pack(checksum))
        at += len(header) + name + extra + comment


def _write_at(file: IO[bytes], offset: int, content: bytes) -> None:
    file.seek(offset)
    file.write(content)


def _shared(loaded: Loaded, chosen: Candidate, changed: set[int]) -> tuple[Note, ...]:
    """The other models of the file whose tensors lie in the same memory."""
    found = tuple(
        other.path
        for other in others(loaded.content, chosen)
        if any(value.untyped_storage()._cdata in changed for value in tensors_of(other).values() if not value.is_meta)
    )
    return (SharedChanged(found),) if found else ()


def _no_room(path: Path, name: str) -> str:
    return (
        f"{path} has no place for {name}: it was read as data, and nothing can be added to it. Pass "
        f"{argument('trust_pickle')} if you trust it, or save the state dict alone, and repair that."
    )
