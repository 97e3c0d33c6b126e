"""Safetensors: one file, or an index and its shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bncheck.formats.format import Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

SAFETENSORS_FILE = Container("safetensors file", (".safetensors",))
SAFETENSORS_INDEX = Container("safetensors index", (".json",), in_parts=True)


class Safetensors(Format):
    """A state dict as safetensors."""

    name = "safetensors"
    title = "safetensors"
    rank = 30
    containers = (SAFETENSORS_FILE, SAFETENSORS_INDEX)

    def recognise(self, start: FileStart) -> Container | None:
        """By the length of the header and its first letter; an index by its `weight_map`."""
        head = start.head
        if not start.is_zip and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
            return SAFETENSORS_FILE
        content = start.json if start.is_json else None
        is_index = isinstance(content, dict) and isinstance(content.get("weight_map"), dict)
        return SAFETENSORS_INDEX if is_index else None

    def open(self, request: Request) -> Backend:
        """See `open_safetensors`."""
        from bncheck.formats.safetensors.opening import open_safetensors

        return open_safetensors(request)

    def parts(self, path: Path, container: Container) -> tuple[Path, ...]:
        """The shards of an index."""
        from bncheck.formats.safetensors.names import shards_named

        return shards_named(path) if container.in_parts else ()

    def parts_written(self, path: Path, container: Container, target: Path, *, beside: bool) -> tuple[Path, ...]:
        """The shards of an index, named after the new one where the old ones lie beside it."""
        from bncheck.formats.safetensors.names import shard_name

        shards = [str(part.relative_to(path.parent)) for part in self.parts(path, container)]
        return tuple(target.parent / shard_name(shard, path, target, beside=beside) for shard in shards)


FORMAT = Safetensors()
