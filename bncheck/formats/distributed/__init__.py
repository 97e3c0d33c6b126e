"""Folders that torch.distributed.checkpoint writes: a pickle that says where every part of every tensor stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bncheck.errors import ModelError
from bncheck.formats.format import Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

DISTRIBUTED_CHECKPOINT = Container("distributed checkpoint", (".metadata",), in_parts=True)
METADATA = ".metadata"
_PART = ".distcp"
_CLASS = b"torch.distributed.checkpoint.metadata"
_PICKLE = 0x80


class Distributed(Format):
    """Distributed checkpoints; they are opened as the state dict that they hold."""

    name = "distributed"
    title = "torch.distributed.checkpoint folders"
    rank = 35  # its index is a pickle too
    containers = (DISTRIBUTED_CHECKPOINT,)

    def recognise(self, start: FileStart) -> Container | None:
        """By the class that its index is of.

        Raises:
            ModelError: it is one of the parts, each a chain of archives, of which readers see the last.
        """
        if start.head[0] == _PICKLE and _CLASS in start.head[:200]:
            return DISTRIBUTED_CHECKPOINT
        if start.is_zip and start.path.suffix == _PART:
            raise ModelError(f"{start.path} is one part of a distributed checkpoint: name its folder.")
        return None

    def leading(self, folder: Path) -> Path | None:
        """The index of a folder."""
        return folder / METADATA if (folder / METADATA).is_file() else None

    def open(self, request: Request) -> Backend:
        """See `open_distributed`."""
        from bncheck.formats.distributed.opening import open_distributed

        return open_distributed(request)

    def parts(self, path: Path, container: Container) -> tuple[Path, ...]:
        """The files that the index names."""
        from bncheck.formats.distributed.index import parts_named

        return parts_named(path)


FORMAT = Distributed()
