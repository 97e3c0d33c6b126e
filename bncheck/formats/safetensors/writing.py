"""Writing safetensors again: one file, or an index and its shards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bncheck.formats.safetensors.names import shard_name
from bncheck.formats.safetensors.reading import load_safetensors, load_sharded, shard_paths
from bncheck.formats.state_dict.origin import TensorsOrigin
from bncheck.formats.stored_values import by_file_name
from bncheck.results import Note

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SafetensorsOrigin(TensorsOrigin):
    """One file of safetensors."""

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Write the file again with its metadata."""
        held = load_safetensors(self.path)
        _save(held, by_file_name(self.names, tensors, held), self.path, target)
        return ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class IndexOrigin(TensorsOrigin):
    """An index and its shards."""

    def files(self) -> tuple[Path, ...]:
        """The index and every shard."""
        return (self.path, *shard_paths(self.path))

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Write the index and all its shards; those in which nothing changes are copied.

        With `beside` the shards are named after the new index, because the old ones lie where they will.
        """
        source = self.path
        index = json.loads(source.read_text("utf-8"))
        weight_map: dict[str, str] = index["weight_map"]
        held = load_sharded(source)
        placed = by_file_name(self.names, tensors, held)
        for name in [name for name in placed if name not in weight_map]:
            weight_map[name] = _shard_of_neighbour(name, weight_map)
            _count(index, placed[name])
        shards = dict.fromkeys(weight_map.values())
        names = {shard: shard_name(shard, source, target, beside=beside) for shard in shards}
        for shard in shards:
            renamed = target.parent / names[shard]
            renamed.parent.mkdir(parents=True, exist_ok=True)
            changed = {name: value for name, value in placed.items() if weight_map[name] == shard}
            if changed:
                _save(load_safetensors(source.parent / shard), changed, source.parent / shard, renamed)
            else:
                shutil.copyfile(source.parent / shard, renamed)
        index["weight_map"] = {name: names[shard] for name, shard in weight_map.items()}
        target.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        return ()


def _save(held: dict[str, torch.Tensor], placed: dict[str, torch.Tensor], source: Path, target: Path) -> None:
    with safe_open(source, framework="pt", device="cpu") as file:
        metadata = file.metadata()
    # Safetensors have no shared memory: a value that stands under two names is written twice.
    save_file(held | {name: value.clone().contiguous() for name, value in placed.items()}, target, metadata=metadata)


def _shard_of_neighbour(name: str, weight_map: Mapping[str, str]) -> str:
    """The shard that holds the rest of the layer, or what has most of its name."""

    def shared(other: str) -> int:
        pairs = zip(name, other, strict=False)
        return next((at for at, (one, two) in enumerate(pairs) if one != two), min(len(name), len(other)))

    return weight_map[max(weight_map, key=shared)]


def _count(index: dict[str, object], added: torch.Tensor) -> None:
    metadata = index.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("total_size"), int):
        metadata["total_size"] += added.numel() * added.element_size()
