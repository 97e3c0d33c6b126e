"""From a distributed checkpoint to a backend: its tensors put together, as the state dict that was saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bncheck.errors import ModelError
from bncheck.formats.declared import require_backed
from bncheck.formats.digest import sha256_of
from bncheck.formats.distributed.index import IndexedTensor, Part, one_archive, parts_named, read_index
from bncheck.formats.format import Request
from bncheck.formats.messages import first_line
from bncheck.formats.pickles.stores import read_archive
from bncheck.formats.sharded.shards import shard_inside
from bncheck.formats.state_dict import FORMAT
from bncheck.formats.state_dict.architecture import require
from bncheck.formats.state_dict.opening import Content, open_tensors
from bncheck.formats.state_dict.origin import TensorsOrigin
from bncheck.results import Note

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DistributedOrigin(TensorsOrigin):
    """A folder that is read and not written again."""

    def files(self) -> tuple[Path, ...]:
        """The index and the files that it names."""
        return (self.path, *parts_named(self.path))

    def require_writable(self) -> None:
        """Refuse, see `write`."""
        folder = self.path.parent
        raise ModelError(
            f"{folder} is a distributed checkpoint, which is not written again. Convert it to one file with `python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder} FILE.pt` (in Python dcp_to_torch_save), "
            "repair that, and convert it back with torch_to_dcp."
        )

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Refuse: its tensors lie in parts over files that several processes wrote."""
        self.require_writable()
        return ()


def open_distributed(request: Request) -> Backend:
    """Read the index, and every tensor that it names.

    Raises:
        UsageError: `arch` cannot be imported or called; several state dicts and no `key`, or none of its name.
        ModelError: a file is missing, cut off or damaged, or the tensors do not fit the architecture.
    """
    require(request.arch)
    path = request.path
    tensors = read_index(path)
    if not tensors:
        raise ModelError(f"{path.parent} is a distributed checkpoint without any tensor.")
    nested: dict[Any, Any] = {}
    files: dict[str, Path] = {}
    for name, tensor in tensors.items():
        for part in tensor.parts:
            if part.file not in files:
                files[part.file] = shard_inside(path, part.file)
        _put(nested, tensor.path, name, _whole(name, tensor, files))
    digest = sha256_of(path, *files.values())
    return open_tensors(request, Content(FORMAT.name, nested, digest, DistributedOrigin))


def _put(nested: dict[Any, Any], path: tuple[Any, ...], name: str, value: torch.Tensor) -> None:
    """Set the value where it was when it was saved; by its flat name where that place is taken."""
    inside = nested
    for key in path[:-1]:
        inside = inside.setdefault(key, {})
        if not isinstance(inside, dict):
            nested[name] = value
            return
    if path[-1] in inside:
        nested[name] = value
    else:
        inside[path[-1]] = value


def _whole(name: str, tensor: IndexedTensor, files: Mapping[str, Path]) -> torch.Tensor:
    """A tensor of all its parts, each checked to lie in it, and every value to be given by one."""
    blocks = [_block(name, part, files[part.file]) for part in tensor.parts]
    if len(blocks) == 1 and tuple(blocks[0].shape) == tensor.size:
        return blocks[0]
    dtypes = {block.dtype for block in blocks}
    if len(dtypes) != 1:
        raise ModelError(f"The parts of {name} are of different types, or there are none: the checkpoint is damaged.")
    (dtype,) = dtypes
    require_backed(math.prod(tensor.size) * dtype.itemsize, sum(block.nbytes for block in blocks), name)
    whole, given = torch.empty(tensor.size, dtype=dtype), torch.zeros(tensor.size, dtype=torch.bool)
    for part, block in zip(tensor.parts, blocks, strict=True):
        ends = [start + length for start, length in zip(part.offsets, block.shape, strict=False)]
        if block.dim() != len(tensor.size) or any(end > size for end, size in zip(ends, tensor.size, strict=True)):
            raise ModelError(f"A part of {name} reaches beyond it: the checkpoint is damaged.")
        place = tuple(slice(start, end) for start, end in zip(part.offsets, ends, strict=True))
        whole[place], given[place] = block, True
    if not bool(given.all()):
        raise ModelError(
            f"Parts of {name} are missing: the folder does not hold what every process saved. Copy all of its files."
        )
    return whole


def _block(name: str, part: Part, file: Path) -> torch.Tensor:
    archive = one_archive(file, part)
    try:
        content = read_archive(archive, part.length).content
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"{name} cannot be read from {file}: {first_line(error)}. The file is damaged, or of another checkpoint."
        ) from error
    if not isinstance(content, torch.Tensor):
        raise ModelError(f"{name} is no plain tensor in {file}, and was not read.")
    return content.detach()
