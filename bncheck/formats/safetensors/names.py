"""What the shards of an index are called, and will be called."""

from __future__ import annotations

import json
from pathlib import Path


def shards_named(index: Path) -> tuple[Path, ...]:
    """The shards that an index names, each once, whether or not they are there.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON.
    """
    weight_map = json.loads(index.read_text("utf-8"))["weight_map"]
    names = dict.fromkeys(name for name in weight_map.values() if isinstance(name, str))
    return tuple(index.parent / name for name in names)


def shard_name(shard: str, index: Path, target: Path, *, beside: bool) -> str:
    """The old name, or, where the old shard stays there, the new index's.

    `old-00001-of-00002.safetensors` for an index `new...` is `new-00001-of-00002.safetensors` then.
    """
    if not beside:
        return shard
    old, new = _stem(index), _stem(target)
    folder, name = Path(shard).parent, Path(shard).name
    return str(folder / (new + name[len(old) :] if name.startswith(old) else f"{new}-{name}"))


def _stem(index: Path) -> str:
    return index.name.removesuffix(".json").removesuffix(".index").removesuffix(".safetensors")
