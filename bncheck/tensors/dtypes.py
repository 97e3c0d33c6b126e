"""Types of numbers, layouts and shapes, as PyTorch calls them, for the stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bncheck.extras import missing


class Size(tuple[int, ...]):
    """A shape."""

    __slots__ = ()

    def numel(self) -> int:
        """How many values there are in it."""
        return int(np.prod(self, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tensor lies in memory."""

    name: str


class MemoryFormat(Layout):
    """In which order its axes lie there; nothing has one here."""


class QScheme(Layout):
    """How it was quantized; nothing is here."""


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """A type of numbers.

    Attributes:
        name: without `torch.`.
        numpy_name: NumPy's own, or that of ml_dtypes; empty for what neither has.
        itemsize: bytes of one.
        is_floating_point: whether it is a float.
        is_complex: whether it is complex.
    """

    name: str
    numpy_name: str
    itemsize: int
    is_floating_point: bool = False
    is_complex: bool = False

    def __str__(self) -> str:
        return f"torch.{self.name}"

    __repr__ = __str__

    def numpy(self) -> np.dtype[Any]:
        """The same type of NumPy's.

        Raises:
            MissingExtraError: only PyTorch knows it.
        """
        if not self.numpy_name:
            raise missing("torch", f"A tensor of type {self.name}")
        if self.name in _EXTENDED:
            import ml_dtypes  # only where a file has such a type

            extended: np.dtype[Any] = np.dtype(getattr(ml_dtypes, self.numpy_name))
            return extended
        return np.dtype(self.numpy_name)


_EXTENDED = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
_FLOATS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2} | dict.fromkeys(_EXTENDED[1:], 1)
_INTEGERS = {"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}
_QUANTIZED = {"qint8": 1, "quint8": 1, "qint32": 4}
DTYPES: dict[str, DType] = {
    **{name: DType(name, name, size, is_floating_point=True) for name, size in _FLOATS.items()},
    **{name: DType(name, name, size) for name, size in _INTEGERS.items()},
    **{name: DType(name, name, size, is_complex=True) for name, size in (("complex128", 16), ("complex64", 8))},
    **{name: DType(name, "", size) for name, size in _QUANTIZED.items()},
    "bool": DType("bool", "bool", 1),
}
"""By name, each once: they are compared by identity, as PyTorch's are."""
STRIDED = Layout("strided")


def dtype_of(values: np.dtype[Any]) -> DType:
    """The type of an array's values.

    Raises:
        TypeError: it is none that a tensor has.
    """
    if values.name not in DTYPES:
        raise TypeError(f"no tensor has values of type {values.name}")
    return DTYPES[values.name]
