"""Whether the tensors in a TorchScript archive lie within what it stores: PyTorch's loader does not ask.

It takes the sizes that a pickle declares for granted, so that a record that is shorter ends the process, or has it read
memory that is not the file's. Its pickles are gone through by an unpickler that builds nothing.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_REBUILDING = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_qtensor")


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
    """What a pickle declares of a storage: how many elements it holds."""

    elements: int


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
    def __init__(self, content: bytes, size_of: Callable[[str], int | None]) -> None:
        super().__init__(io.BytesIO(content))
        self._size_of = size_of

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Nothing is imported."""
        return _require_within if name in _REBUILDING else type(name, (_Inert,), {})

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, as far as its record holds what is declared."""
        _, kind, key, _, elements = pid
        held = self._size_of(str(key))
        each = _SIZES.get(kind.__name__.removesuffix("Storage"), 1)
        if type(elements) is not int or elements < 0 or held is None or elements * each > held:
            raise BeyondStorageError(f"the storage {key} is to hold {elements} values and has {held} bytes")
        return _Storage(elements)


def require_within_storages(content: bytes, sizes: Mapping[str, int], folder: str) -> None:
    """Go through a pickle of an archive.

    Args:
        content: the pickle.
        sizes: how many bytes each record of the archive has, by its name.
        folder: where the storages of this pickle stand.

    Raises:
        BeyondStorageError: a tensor reaches beyond its storage, or a storage beyond its record.
        Exception: whatever a damaged pickle provokes.
    """
    _Reader(content, lambda key: sizes.get(f"{folder}/{key}")).load()


def _require_within(storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> None:
    numbers = (offset, *sizes, *strides)
    if not isinstance(storage, _Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise BeyondStorageError("a tensor of no storage, or of sizes that are none")
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if 0 not in sizes and last >= storage.elements:
        raise BeyondStorageError(f"a tensor of shape {tuple(sizes)} in a storage of {storage.elements} values")
