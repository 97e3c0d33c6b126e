"""What the files of a repaired model are called that are written beside its main one."""

from __future__ import annotations

from pathlib import Path

from bncheck.formats.parts import parts_of
from bncheck.formats.recognise import ONNX_FILE, SAFETENSORS_INDEX


def written_beside(model: Path, container: str, target: Path, *, beside: bool) -> tuple[Path, ...]:
    """The files that `target` is going to consist of besides, before anything is written.

    Args:
        model: the original.
        container: what it is.
        target: the new main file.
        beside: whether it lies in the folder of the original.
    """
    parts = parts_of(model)
    if container == SAFETENSORS_INDEX:
        shards = [str(part.relative_to(model.parent)) for part in parts]
        return tuple(target.parent / shard_name(shard, model, target, beside=beside) for shard in shards)
    if container == ONNX_FILE:
        return tuple(target.parent / external_name(number, target) for number in range(len(parts)))
    return ()


def shard_name(shard: str, index: Path, target: Path, *, beside: bool) -> str:
    """The old name, or, where the old shard stays there, the new index's.

    `old-00001-of-00002.safetensors` for an index `new...` is `new-00001-of-00002.safetensors` then.
    """
    if not beside:
        return shard
    old, new = _stem(index), _stem(target)
    folder, name = Path(shard).parent, Path(shard).name
    return str(folder / (new + name[len(old) :] if name.startswith(old) else f"{new}-{name}"))


def external_name(number: int, target: Path) -> str:
    """The file that holds tensors of an ONNX model: `new.onnx.data`, `new.onnx.1.data`, ..."""
    return f"{target.name}{f'.{number}' if number else ''}.data"


def _stem(index: Path) -> str:
    return index.name.removesuffix(".json").removesuffix(".index").removesuffix(".safetensors")
