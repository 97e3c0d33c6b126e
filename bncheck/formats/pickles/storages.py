"""The memory behind a file's tensors: named by the pickle, read from the file, never larger than what stands there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bncheck.formats.pickles.placeholders import ForeignName
from bncheck.tensors import torch

_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "QInt8Storage": torch.qint8,
    "QUInt8Storage": torch.quint8,
    "QInt32Storage": torch.qint32,
}
_MODULES = ("torch", "torch.cuda")
_UNTYPED = ("torch.storage.UntypedStorage", "torch.storage._UntypedStorage", "torch._UntypedStorage")


@dataclass(frozen=True, slots=True, eq=False)
class StorageType(ForeignName):
    """A class of storages.

    Attributes:
        dtype: of its values; of an untyped one, bytes.
    """

    dtype: torch.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Values in a row.

    Attributes:
        memory: that holds them, and others where it is a view.
        dtype: of each.
        first: which of the memory's values is the first one.
    """

    memory: torch.UntypedStorage
    dtype: torch.dtype
    first: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class StorageId:
    """What a pickle says of a storage.

    Attributes:
        key: of its memory in the file.
        dtype: of its values.
        nbytes: that its memory has.
        first: which value of the memory is the first one.
    """

    key: str
    dtype: torch.dtype
    nbytes: int
    first: int = 0


def read_id(given: Any) -> StorageId:
    """What a persistent id says: `("storage", type, key, location, number of values[, view])`.

    Raises:
        ValueError: it says nothing of the kind.
    """
    match given:
        case ("storage", StorageType() as kind, str() | int() as key, _, int() as count, *rest) if 0 <= count < 2**48:
            return StorageId(str(key), kind.dtype, count * kind.dtype.itemsize, _first_of(rest))
    raise ValueError("a storage is named in a way that no version of PyTorch names one")


def memory_of(size: int) -> tuple[torch.UntypedStorage, memoryview]:
    """New memory of so many bytes, and a view through which it is filled."""
    memory = torch.UntypedStorage(size)  # type: ignore[no-untyped-call]
    return memory, bytes_of(memory)


def bytes_of(memory: torch.UntypedStorage) -> memoryview:
    """The memory's bytes, to be read and written."""
    values: Any = torch.empty(0, dtype=torch.uint8).set_(memory).numpy()
    return memoryview(values).cast("B")


def _first_of(rest: list[Any]) -> int:
    """Where a view begins; PyTorch before 0.4 wrote `(key, offset, size)` of one, later versions nothing."""
    match rest:
        case [] | [None]:
            return 0
        case [(_, int() as offset, int())] if offset >= 0:
            return offset
    raise ValueError("a view of a storage is damaged")


STORAGES: tuple[ForeignName, ...] = (
    *(StorageType(f"{module}.{name}", dtype) for module in _MODULES for name, dtype in _TYPES.items()),
    *(StorageType(name, torch.uint8) for name in _UNTYPED),
)
