"""What the `.metadata` of a distributed checkpoint says: of which parts its tensors are, and where these stand.

It is a pickle of PyTorch's own classes, read as data: nothing that it names is imported or called.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError
from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.machine import Machine
from bncheck.formats.pickles.opcodes import is_whole_pickle
from bncheck.formats.pickles.placeholders import ForeignObject
from bncheck.formats.pickles.stores import Bounded
from bncheck.vocabulary import with_article

_DEEPEST = 64
_MOST_AXES = 64
_PACKAGE = "torch.distributed.checkpoint."


@dataclass(frozen=True, slots=True)
class Part:
    """A block of a tensor.

    Attributes:
        file: name of the file that holds it.
        start, length: where its bytes stand there, an archive of its own.
        offsets: of its first value in the tensor, an index per axis.
    """

    file: str
    start: int
    length: int
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IndexedTensor:
    """A tensor that is stored.

    Attributes:
        path: keys that lead to it in what was saved; its flat name alone where the index does not say.
        size: its shape.
        parts: its blocks.
    """

    path: tuple[Any, ...]
    size: tuple[int, ...]
    parts: tuple[Part, ...]


def read_index(path: Path) -> dict[str, IndexedTensor]:
    """The tensors of the checkpoint whose index stands at `path`, by their flat names.

    Raises:
        ModelError: it is damaged, of another kind, or its parts were transformed.
    """
    try:
        with path.open("rb") as file:
            whole = is_whole_pickle(file)
            file.seek(0)
            size = path.stat().st_size
            bounded: Any = Bounded(file, size)
            index = Machine(_no_storage, Budget(size)).load(bounded) if whole else None
        return _tensors_of(index, path)
    except (ModelError, MemoryError, OSError):
        raise
    except Exception as error:
        raise _damaged(path) from error


def parts_named(path: Path) -> tuple[Path, ...]:
    """The files that an index names, each once, whether or not they are there.

    Raises:
        OSError: it cannot be read.
        ModelError: it is damaged.
    """
    names = (part.file for tensor in read_index(path).values() for part in tensor.parts)
    return tuple(path.parent / name for name in dict.fromkeys(names))


def _no_storage(given: Any) -> Any:
    raise ValueError("it holds a tensor itself")


def _tensors_of(index: Any, path: Path) -> dict[str, IndexedTensor]:
    kept = _fields(index, "metadata.Metadata")
    kinds, stored, paths = kept["state_dict_metadata"], kept["storage_data"], kept.get("planner_data")
    sizes = {name: tuple(_fields(kind)["size"]) for name, kind in kinds.items() if "size" in _fields(kind)}
    parts: dict[str, list[Part]] = {name: [] for name in sizes}
    for key, value in stored.items():
        name = _fields(key, "metadata.MetadataIndex")["fqn"]
        if name in sizes:
            parts[name].append(_part(_fields(key).get("offset"), _fields(value), sizes[name], path))
    return {name: IndexedTensor(_path(name, paths), sizes[name], tuple(parts[name])) for name in sizes}


def _part(offset: Any, where: Mapping[str, Any], size: tuple[int, ...], path: Path) -> Part:
    file, start, length = where["relative_path"], where["offset"], where["length"]
    offsets = tuple(offset) if offset is not None else (0,) * len(size)
    if not isinstance(file, str) or not all(_is_count(one) for one in (start, length, *offsets, *size)):
        raise _damaged(path)
    if len(offsets) != len(size) or len(size) > _MOST_AXES:
        raise _damaged(path)
    if where.get("transform_descriptors"):
        raise ModelError(
            f"{path.parent} is a distributed checkpoint whose tensors were transformed when they were saved "
            f"({str(where['transform_descriptors'])[:80]}): load it with torch.distributed.checkpoint, and save it as "
            "one file with torch.save."
        )
    return Part(file, start, length, offsets)


def _path(name: str, paths: Any) -> tuple[Any, ...]:
    found = paths.get(name) if isinstance(paths, dict) else None
    known = isinstance(found, tuple) and 0 < len(found) <= _DEEPEST
    return found if known and isinstance(found, tuple) and all(isinstance(key, str | int) for key in found) else (name,)


def _fields(value: Any, kind: str = "") -> Mapping[str, Any]:
    """What an object of PyTorch's holds by name.

    Raises:
        ValueError: it is no such object.
    """
    if not isinstance(value, ForeignObject) or not value.class_name.startswith(_PACKAGE):
        raise ValueError("it holds something of no class of PyTorch's")
    if kind and value.class_name != _PACKAGE + kind:
        raise ValueError(f"it holds {with_article(value.class_name)} in the place of a {kind}")
    return value.attributes


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**62


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path} is cut off or damaged. Copy or download the folder again, or save it again.")


def one_archive(file: Path, part: Part) -> io.BytesIO:
    """The bytes of a part, as a file.

    Raises:
        ModelError: the file ends before it does.
    """
    with file.open("rb") as opened:
        opened.seek(0, io.SEEK_END)
        if part.start + part.length > opened.tell():
            raise ModelError(f"{file} ends before a tensor in it does: it is cut off, or of another checkpoint.")
        opened.seek(part.start)
        return io.BytesIO(opened.read(part.length))
