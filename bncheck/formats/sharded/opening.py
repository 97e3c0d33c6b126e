"""From an index and its shards, each of `torch.save`, to a backend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncheck.errors import ModelError
from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Request
from bncheck.formats.pickles.reading import Loaded, load_pickle
from bncheck.formats.recognition.recognise import format_of
from bncheck.formats.safetensors.writing import IndexOrigin
from bncheck.formats.sharded.shards import gathered, shard_inside
from bncheck.formats.state_dict import FORMAT
from bncheck.formats.state_dict.architecture import require
from bncheck.formats.state_dict.copies import tensors_in
from bncheck.formats.state_dict.opening import Content, open_tensors
from bncheck.formats.state_dict.writing import save_checkpoint
from bncheck.formats.stored_values import by_file_name
from bncheck.results import Note
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShardedOrigin(IndexOrigin):
    """An index and shards of `torch.save`."""

    def files(self) -> tuple[Path, ...]:
        """The index and every shard."""
        return (self.path, *_shards_of(self.path, _weight_map(self.path)).values())

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Write the index and all its shards; those in which nothing changes are copied."""
        held = _loaded(self.path, trust_pickle=self.trust_pickle)[0]
        self.write_parts(by_file_name(self.names, tensors, held), frozenset(), target, beside=beside)
        return ()

    def load_shard(self, shard: Path) -> dict[str, torch.Tensor]:
        """What a shard holds, its other contents too; refuse what cannot be written again."""
        loaded = _load(shard, trust_pickle=self.trust_pickle)
        if loaded.as_data:
            raise ModelError(
                f"{shard} holds more than tensors, which was read as data and cannot be written again. Save the model "
                f"as safetensors, or pass {argument('trust_pickle')} if you trust it."
            )
        return dict(loaded.content)

    def save_shard(
        self, held: dict[str, torch.Tensor], placed: Mapping[str, torch.Tensor], source: Path, target: Path
    ) -> None:
        """Write a shard anew, in the form that it has."""
        save_checkpoint({**held, **placed}, target, format_of(source)[1])


def open_sharded(request: Request) -> Backend:
    """Read an index and its shards.

    Raises:
        UsageError: `arch` cannot be imported or called.
        ModelError: a shard is missing, cut off or damaged, or the tensors do not fit the architecture.
    """
    require(request.arch)
    path = request.path
    content, asked = _loaded(path, trust_pickle=request.trust_pickle)
    digest = sha256_of(path, *_shards_of(path, _weight_map(path)).values())
    return open_tensors(request, Content(FORMAT.name, content, digest, ShardedOrigin, asked))


def _loaded(index: Path, *, trust_pickle: bool) -> tuple[dict[str, torch.Tensor], tuple[str, ...] | None]:
    """The tensors that an index names, in its order, and what its shards ask for beyond; `None` where nothing is."""
    weight_map = _weight_map(index)
    loaded = {name: _load(shard, trust_pickle=trust_pickle) for name, shard in _shards_of(index, weight_map).items()}
    held = gathered(index, weight_map, {name: tensors_in(one.content) for name, one in loaded.items()})
    foreign = [one for one in loaded.values() if one.as_data]
    asked = tuple(dict.fromkeys(name for one in foreign for name in one.asked)) if foreign else None
    return held, asked


def _load(shard: Path, *, trust_pickle: bool) -> Loaded:
    found, container = format_of(shard)
    if found.name != FORMAT.name:
        raise ModelError(f"{shard} is {with_article(container.name)}, and its index names it as one of PyTorch's.")
    loaded = load_pickle(shard, container, trust_pickle=trust_pickle)
    if not isinstance(loaded.content, Mapping):
        raise ModelError(f"{shard} holds no state dict, and its index says that it does.")
    return loaded


def _weight_map(index: Path) -> dict[str, str]:
    content: Any = json.loads(index.read_text("utf-8"))
    return dict(content["weight_map"])


def _shards_of(index: Path, weight_map: Mapping[str, str]) -> dict[str, Path]:
    """The files by their names in the index, each once."""
    return {name: shard_inside(index, name) for name in dict.fromkeys(weight_map.values())}
