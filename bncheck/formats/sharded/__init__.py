"""Checkpoints of `torch.save` that were split: an index, `pytorch_model.bin.index.json`, and its shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bncheck.formats.format import TORCH_SUFFIXES, Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

CHECKPOINT_INDEX = Container("checkpoint index", (".json",), in_parts=True)


class Sharded(Format):
    """A state dict in several files; what is opened is the state dict."""

    name = "sharded"
    rank = 25  # an index of safetensors looks alike
    containers = (CHECKPOINT_INDEX,)

    def recognise(self, start: FileStart) -> Container | None:
        """By its `weight_map`, whose files are called as PyTorch's are."""
        content = start.json if start.is_json else None
        named = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(named, dict) or not named:
            return None
        are_torchs = all(isinstance(shard, str) and shard.endswith(TORCH_SUFFIXES) for shard in named.values())
        return CHECKPOINT_INDEX if are_torchs else None

    def leading(self, folder: Path) -> Path | None:
        """The only index in a folder, of shards of any format."""
        from bncheck.formats.sharded.shards import indices_in

        found = indices_in(folder)
        return found[0] if len(found) == 1 else None

    def open(self, request: Request) -> Backend:
        """See `open_sharded`."""
        from bncheck.formats.sharded.opening import open_sharded

        return open_sharded(request)

    def parts(self, path: Path, container: Container) -> tuple[Path, ...]:
        """The shards."""
        from bncheck.formats.safetensors.names import shards_named

        return shards_named(path)

    def parts_written(self, path: Path, container: Container, target: Path, *, beside: bool) -> tuple[Path, ...]:
        """The shards, named after the new index where the old ones lie beside it."""
        from bncheck.formats.safetensors.names import shard_name

        shards = [str(part.relative_to(path.parent)) for part in self.parts(path, container)]
        return tuple(target.parent / shard_name(shard, path, target, beside=beside) for shard in shards)


FORMAT = Sharded()
