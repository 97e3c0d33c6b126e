"""Writing safetensors again: one file, or an index and its shards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from bncheck.formats.safetensors.names import shard_name
from bncheck.formats.safetensors.reading import load_safetensors, load_sharded, shard_paths
from bncheck.formats.state_dict.origin import TensorsOrigin
from bncheck.formats.stored_values import by_file_name
from bncheck.results import BuildByInstance, Note
from bncheck.tensors import torch

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

    def write_by_instance(
        self, model: Backend, layers: Sequence[str], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Leave the statistics of these layers out."""
        _save(_without(load_safetensors(self.path), self.of_statistics(layers)), {}, self.path, target)
        return (BuildByInstance(tuple(layers)),)


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
        held = load_sharded(self.path)
        self.write_parts(by_file_name(self.names, tensors, held), frozenset(), target, beside=beside)
        return ()

    def write_by_instance(
        self, model: Backend, layers: Sequence[str], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Leave the statistics of these layers out of the index and their shards."""
        self.write_parts({}, self.of_statistics(layers), target, beside=beside)
        return (BuildByInstance(tuple(layers)),)

    def write_parts(
        self, placed: Mapping[str, torch.Tensor], dropped: frozenset[str], target: Path, *, beside: bool
    ) -> None:
        """Write index and shards with some tensors new and some left out, by the names they have in the file."""
        source = self.path
        index = json.loads(source.read_text("utf-8"))
        weight_map: dict[str, str] = index["weight_map"]
        for name in [name for name in placed if name not in weight_map]:
            weight_map[name] = _shard_of_neighbour(name, weight_map)
            _count(index, placed[name])
        shards = dict.fromkeys(weight_map.values())
        names = {shard: shard_name(shard, source, target, beside=beside) for shard in shards}
        for shard in shards:
            renamed = target.parent / names[shard]
            renamed.parent.mkdir(parents=True, exist_ok=True)
            changed = {name: value for name, value in placed.items() if weight_map[name] == shard}
            gone = {name for name in dropped if weight_map.get(name) == shard}
            if changed or gone:
                stored = self.load_shard(source.parent / shard)
                for name in gone:
                    _count(index, stored[name], -1)
                self.save_shard(_without(stored, gone), changed, source.parent / shard, renamed)
            else:
                shutil.copyfile(source.parent / shard, renamed)
        index["weight_map"] = {name: names[shard] for name, shard in weight_map.items() if name not in dropped}
        target.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    def load_shard(self, shard: Path) -> dict[str, torch.Tensor]:
        """What a shard holds."""
        return load_safetensors(shard)

    def save_shard(
        self, held: dict[str, torch.Tensor], placed: Mapping[str, torch.Tensor], source: Path, target: Path
    ) -> None:
        """Write a shard like `source`, with these tensors new."""
        _save(held, placed, source, target)


def _without(held: Mapping[str, torch.Tensor], names: Collection[str]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in held.items() if name not in names}


def _save(held: dict[str, torch.Tensor], placed: Mapping[str, torch.Tensor], source: Path, target: Path) -> None:
    from safetensors.torch import save_file

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


def _count(index: dict[str, object], tensor: torch.Tensor, times: int = 1) -> None:
    metadata = index.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("total_size"), int):
        metadata["total_size"] += times * tensor.numel() * tensor.element_size()
