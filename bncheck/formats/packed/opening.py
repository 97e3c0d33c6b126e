"""Unpacking a model beside its file, and opening what was in it."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from bncheck.errors import BncheckError, ModelError
from bncheck.formats.declared import room
from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Request
from bncheck.formats.origin import Origin
from bncheck.formats.packed import GZIP, packed_model
from bncheck.results import Note, Unpacked
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend

_CHUNK = 2**20


class _Readable(Protocol):
    """What is read in pieces."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PackedOrigin(Origin):
    """A file that is read and not written again."""

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Refuse: what is packed is repaired unpacked."""
        self.require_writable()
        return ()

    def require_writable(self) -> None:
        """Refuse, see `write`."""
        raise ModelError(
            f"{self.path} is {with_article(self.container.name)}, which is not written again: unpack "
            "it, and repair what is in it."
        )


def open_packed(request: Request) -> Backend:
    """The model in the file, under the file's name.

    Raises:
        ModelError: it is damaged, comes to far more than it holds, or is no model.
    """
    from bncheck.formats.opening import open_model

    path = request.path
    with tempfile.TemporaryDirectory(prefix="bncheck-") as folder:
        inner = Path(folder) / "model"
        member = _unpack(path, inner, is_gzip=request.container == GZIP)
        try:
            opened = open_model(
                inner,
                arch=request.arch,
                arch_kwargs=request.arch_kwargs,
                key=request.key,
                trust_pickle=request.trust_pickle,
                allow_ops=request.allow_ops,
                device=request.device,
            )
        except BncheckError as error:
            raise type(error)(*(line.replace(str(inner), f"{path} ({member})") for line in error.lines)) from error
        return replace(
            opened,
            path=str(path),
            sha256=sha256_of(path),
            origin=PackedOrigin(path=path, container=request.container),
            notes=(Unpacked(member), *opened.notes),
        )


def _unpack(path: Path, target: Path, *, is_gzip: bool) -> str:
    """Write what is packed to `target`, and give its name."""
    stored = path.stat().st_size
    try:
        if is_gzip:
            with gzip.open(path) as packed, target.open("wb") as file:
                _copy(packed, file, stored, path)
            return path.stem
        with zipfile.ZipFile(path) as archive:
            member = packed_model(tuple(archive.namelist()))
            if member is None:
                raise ModelError(f"{path} holds no model, or several: unpack it, and name one.")
            with archive.open(member) as packed, target.open("wb") as file:
                _copy(packed, file, stored, path)
            return PurePosixPath(member).name
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} cannot be unpacked: {error}. Copy or download it again.") from error


def _copy(packed: _Readable, file: BinaryIO, stored: int, path: Path) -> None:
    """Copy in pieces, so that a file made to fill the disk ends early."""
    left = room(stored)
    while piece := packed.read(_CHUNK):
        left -= len(piece)
        if left < 0:
            raise ModelError(
                f"{path} unpacks to more than {room(stored)} bytes: it is damaged, or made to fill the disk."
            )
        file.write(piece)
