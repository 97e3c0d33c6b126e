"""From safetensors to a backend, by way of what all state dicts share."""

from __future__ import annotations

from bncheck.formats.backend import Backend
from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Request
from bncheck.formats.safetensors import FORMAT
from bncheck.formats.safetensors.reading import load_safetensors, load_sharded, shard_paths
from bncheck.formats.safetensors.writing import IndexOrigin, SafetensorsOrigin
from bncheck.formats.state_dict.architecture import require
from bncheck.formats.state_dict.opening import Content, open_tensors


def open_safetensors(request: Request) -> Backend:
    """Read a file, or an index and its shards.

    Raises:
        UsageError: `arch` cannot be imported or called.
        ModelError: a file is missing, cut off or damaged, or does not fit the architecture.
    """
    require(request.arch)
    path = request.path
    if request.container.in_parts:
        content, sha256 = load_sharded(path), sha256_of(path, *shard_paths(path))
        return open_tensors(request, Content(FORMAT.name, content, sha256, IndexOrigin))
    return open_tensors(request, Content(FORMAT.name, load_safetensors(path), sha256_of(path), SafetensorsOrigin))
