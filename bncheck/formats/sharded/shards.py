"""Files that an index names, which must stand in its own folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bncheck.core import NormLayer
from bncheck.errors import ModelError
from bncheck.formats.messages import listed

if TYPE_CHECKING:
    import torch

_PART = re.compile(r"-\d{5}-of-(\d{5})\.")
"""How one of several is called: `pytorch_model-00001-of-00003.bin`."""
_LARGEST = 2**28
"""Bytes of an index that is looked at to find the one a shard belongs to."""


def shard_inside(index: Path, name: str) -> Path:
    """The path of a file that an index names; an index must not lead to files elsewhere on this machine.

    Raises:
        ModelError: it lies outside of the index's folder, or is not there.
    """
    if Path(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        raise ModelError(f"{index} names the shard {name!r}, which is not in its own folder; it was not read.")
    shard = index.parent / name
    if not shard.is_file():
        raise ModelError(f"{index} names the shard {name}, which is missing: put it beside the index.")
    return shard


def gathered(
    index: Path, weight_map: Mapping[str, str], shards: Mapping[str, Mapping[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """The tensors that an index names, in its order.

    Args:
        index: for messages.
        weight_map: the shard of each tensor.
        shards: what each holds.

    Raises:
        ModelError: a shard lacks a tensor.
    """
    absent = [name for name, shard in weight_map.items() if name not in shards[shard]]
    if absent:
        raise ModelError(f"{index} names tensors that its shards do not hold: {listed(absent)}.")
    return {name: shards[shard][name] for name, shard in weight_map.items()}


def index_of(shard: Path) -> Path | None:
    """The one index beside a file that is called as one of several, if it names it; `None` for other files."""
    if not _PART.search(shard.name) or not shard.is_file():
        return None
    found = [index for index in indices_in(shard.parent) if shard.name in _named(index)]
    return found[0] if len(found) == 1 else None


def usual_index(name: str) -> str | None:
    """What the index of one of several files is called by custom: `model.bin.index.json`; `None` for other files."""
    whole, found = _PART.subn(".", name)
    return f"{whole}.index.json" if found == 1 else None


def require_whole(path: Path, layers: Sequence[NormLayer]) -> None:
    """Refuse one of several files, by its name, that lacks statistics and has no index beside it: another has them.

    Raises:
        ModelError: it is such a file.
    """
    parts = _PART.search(path.name)
    lacking = [layer.name for layer in layers if layer.missing]
    if parts is not None and int(parts[1]) > 1 and lacking:
        raise ModelError(
            f"{path} is one of {int(parts[1])} files by its name, and the statistics of {listed(lacking)} are in "
            "another: copy the others and the index (.index.json) that names them into its folder, and name that."
        )


def indices_in(folder: Path) -> list[Path]:
    """The indices of split checkpoints in a folder, by their names."""
    return sorted(path for path in folder.glob("*.index.json") if path.is_file())


def _named(index: Path) -> frozenset[object]:
    try:
        content = json.loads(index.read_text("utf-8")) if index.stat().st_size <= _LARGEST else None
    except (OSError, ValueError, RecursionError):
        return frozenset()
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    names = weight_map.values() if isinstance(weight_map, dict) else ()
    return frozenset(name for name in names if isinstance(name, str))
