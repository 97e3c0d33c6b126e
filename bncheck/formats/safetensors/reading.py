"""Safetensors: one file, or an index and its shards."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from bncheck.encoding import encodable
from bncheck.errors import ModelError
from bncheck.formats.messages import first_line
from bncheck.formats.safetensors.by_numpy import load_by_numpy
from bncheck.formats.sharded.shards import gathered, shard_inside
from bncheck.tensors import HAS_TORCH, torch


def load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, in the order of their names.

    Raises:
        ModelError: the file is cut off or damaged.
    """
    if encodable(str(path)) != str(path):
        raise ModelError(f"{path}: safetensors are opened by names in UTF-8 alone; rename the file or its folder.")
    try:
        if not HAS_TORCH:
            return load_by_numpy(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path} cannot be read as safetensors: {first_line(error)}. Is it complete? Copy or download it again."
        ) from error


def load_sharded(index: Path) -> dict[str, torch.Tensor]:
    """The tensors that an index names, collected from its shards, in the index's order.

    Raises:
        ModelError: a shard is missing, lies outside the index's folder, or lacks a tensor.
    """
    weight_map = _weight_map(index)
    shards = {name: load_safetensors(_inside(index, name)) for name in dict.fromkeys(weight_map.values())}
    return gathered(index, weight_map, shards)


def shard_paths(index: Path) -> list[Path]:
    """The files an index refers to, each once.

    Raises:
        ModelError: one is missing or lies outside the index's folder.
    """
    return [_inside(index, name) for name in dict.fromkeys(_weight_map(index).values())]


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = json.loads(index.read_text("utf-8"))["weight_map"]
    if not all(isinstance(shard, str) for shard in weight_map.values()):
        raise ModelError(
            f"{index} is no index of safetensors: its `weight_map` must give a file name for every tensor."
        )
    return dict(weight_map)


def _inside(index: Path, name: str) -> Path:
    """The shard's path."""
    shard = shard_inside(index, name)
    if not name.endswith(".safetensors"):
        raise ModelError(f"{index} names the shard {name}, which is not safetensors. Save the model as safetensors.")
    return shard
