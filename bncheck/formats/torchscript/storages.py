"""Whether the tensors in a TorchScript archive lie within what it stores: PyTorch's loader does not ask.

It takes the sizes that a pickle declares for granted, so that a record that is shorter ends the process, or has it read
memory that is not the file's. Its pickles are gone through by an unpickler that builds nothing.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bncheck.formats.torchscript.sparse import Index, require_sound

_REBUILDING = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_qtensor")
_SPARSE = "_rebuild_sparse_tensor"

_SIZES = {
    **dict.fromkeys(("Half", "BFloat16", "Short", "UInt16"), 2),
    **dict.fromkeys(("Float", "Int", "UInt32", "QInt32", "ComplexHalf"), 4),
    **dict.fromkeys(("Double", "Long", "UInt64", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
"""Bytes of one element, by PyTorch's name of the storage; 1 for all others."""


class BeyondStorageError(ValueError):
    """A tensor reaches beyond what is stored."""


@dataclass(frozen=True, slots=True)
class _Storage:
    """What a pickle declares of a storage: of which type its elements are and how many, and what is stored."""

    kind: str
    elements: int
    content: bytes


@dataclass(frozen=True, slots=True)
class _Tensor:
    """What a pickle declares of a tensor, which lies within its storage."""

    storage: _Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


class _Inert:
    """Takes the place of every class, function and object, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        """Whatever it is made of."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing is kept."""

    def __setstate__(self, state: Any) -> None:
        """Nothing is kept."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Nothing is kept."""

    def append(self, value: Any) -> None:
        """Nothing is kept."""

    def extend(self, values: Any) -> None:
        """Nothing is kept."""


class _Reader(pickle._Unpickler):  # the one in C allocates what indices claim
    def __init__(self, content: bytes, record_of: Callable[[str], bytes | None]) -> None:
        super().__init__(io.BytesIO(content))
        self._record_of = record_of

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Nothing is imported."""
        if name == _SPARSE:
            return _require_sparse
        return _tensor_within if name in _REBUILDING else type(name, (_Inert,), {})

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, as far as its record holds what is declared."""
        _, kind, key, _, elements = pid
        held = self._record_of(str(key))
        name = kind.__name__.removesuffix("Storage")
        if type(elements) is not int or elements < 0 or held is None or elements * _SIZES.get(name, 1) > len(held):
            has = "no" if held is None else len(held)
            raise BeyondStorageError(f"the storage {key} is to hold {elements} values and has {has} bytes")
        return _Storage(name, elements, held)


def require_within_storages(content: bytes, record_of: Callable[[str], bytes | None]) -> None:
    """Go through a pickle of an archive.

    Args:
        content: the pickle.
        record_of: gives the storage of that name, or `None` where the archive has none.

    Raises:
        BeyondStorageError: a tensor reaches beyond its storage, or a storage beyond its record.
        Exception: whatever a damaged pickle provokes, and indices of a sparse tensor that lie outside of it.
    """
    _Reader(content, record_of).load()


def _require_sparse(layout: Any, sizes: Any, _: Any, *parts: Any) -> None:
    """Of a sparse tensor, the indices (of a compressed one the compressed ones first), the values, and its hooks."""
    tensors = parts[: len(parts) - 1]
    if not tensors or not all(isinstance(part, _Tensor) for part in tensors):
        raise BeyondStorageError("a sparse tensor of something that is no tensor")
    *indices, values = tensors
    found = []
    for one in indices:
        if math.prod(one.sizes) > one.storage.elements:
            raise BeyondStorageError(f"the indices of a sparse tensor, {one.sizes}, repeat themselves")
        found.append(Index(one.storage.content, one.storage.kind, one.offset, one.sizes, one.strides))
    require_sound(layout, sizes, found, values.sizes)


def _tensor_within(storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> _Tensor:
    numbers = (offset, *sizes, *strides)
    if not isinstance(storage, _Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise BeyondStorageError("a tensor of no storage, or of sizes that are none")
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if 0 not in sizes and last >= storage.elements:
        raise BeyondStorageError(f"a tensor of shape {tuple(sizes)} in a storage of {storage.elements} values")
    return _Tensor(storage, offset, tuple(sizes), tuple(strides))
