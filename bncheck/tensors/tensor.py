"""A tensor of the stand-in: an array that answers what the reading of stored values asks of PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck.extras import missing
from bncheck.tensors.dtypes import DTYPES, STRIDED, DType, Layout, Size, dtype_of

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Bytes behind tensors, shape (bytes,)."""

    held: npt.NDArray[np.uint8]

    @property
    def _cdata(self) -> int:
        return _address(self.held)

    def nbytes(self) -> int:
        """How many there are."""
        return int(self.held.nbytes)

    def byteswap(self, dtype: DType) -> None:
        """Turn the bytes of each value round, in place."""
        whole = self.held[: len(self.held) // dtype.itemsize * dtype.itemsize]
        whole.view(dtype.numpy()).byteswap(inplace=True)


def untyped_storage(size: int) -> Memory:
    """So many bytes, unfilled."""
    return Memory(np.empty(size, np.uint8))


class Tensor:
    """Values on NumPy: without gradient, on the CPU, strided."""

    is_quantized = is_nested = is_meta = requires_grad = False
    layout: Layout = STRIDED

    def __init__(self, values: Array, memory: Memory | None = None) -> None:
        self._values = values
        self._memory = memory

    def __getattr__(self, name: str) -> Any:
        """Raise what says that the rest takes PyTorch."""
        if name.startswith("_"):  # what Python and its libraries ask of any object
            raise AttributeError(name)
        raise missing("torch", f"this (torch.Tensor.{name})")

    def __len__(self) -> int:
        return len(self._values)

    @property
    def shape(self) -> Size:
        """Length of each axis."""
        return Size(self._values.shape)

    @property
    def dtype(self) -> DType:
        """Of its values."""
        return dtype_of(self._values.dtype)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self._values.ndim

    def dim(self) -> int:
        """How many axes it has."""
        return self._values.ndim

    def numel(self) -> int:
        """How many values it has."""
        return int(self._values.size)

    def element_size(self) -> int:
        """Bytes of a value."""
        return int(self._values.itemsize)

    def stride(self) -> tuple[int, ...]:
        """Values from one to the next on each axis."""
        return tuple(step // self._values.itemsize for step in self._values.strides)

    def data_ptr(self) -> int:
        """Address of the first value; 0 without any."""
        return _address(self._values) if self._values.size else 0

    def untyped_storage(self) -> Memory:
        """The memory behind it."""
        if self._memory is not None:
            return self._memory
        return Memory(self._values.reshape(-1).view(np.uint8))

    def set_(self, memory: Memory, first: int = 0, size: Sequence[int] = (), stride: Sequence[int] = ()) -> Tensor:
        """Become a view of `memory`, of all of it where no size is given; the caller has checked that it lies within.

        Args:
            memory: the bytes.
            first: which of the memory's values is the first one.
            size: length of each axis.
            stride: values from one to the next on each.
        """
        dtype = self.dtype.numpy()
        if not size and not stride and dtype.itemsize == 1 and not first:
            self._values, self._memory = memory.held.view(dtype), memory
            return self
        begin = first * dtype.itemsize
        steps = tuple(step * dtype.itemsize for step in stride)
        if 0 in size:
            self._values = np.empty(tuple(size), dtype)
        else:
            self._values = np.ndarray(tuple(size), dtype, memory.held.data, begin, steps)
        self._memory = memory
        return self

    def is_floating_point(self) -> bool:
        """Whether its values are floats."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether its values are complex."""
        return self.dtype.is_complex

    def detach(self) -> Tensor:
        """Itself: there is no gradient."""
        return self

    def cpu(self) -> Tensor:
        """Itself: there is no other device."""
        return self

    def numpy(self) -> Array:
        """The values, not copied."""
        return self._values

    def item(self) -> Any:
        """Its one value, as Python has it."""
        return self._values.item()

    def reshape(self, *shape: Any) -> Tensor:
        """The values in another shape, given as numbers or as a sequence of them."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        return Tensor(self._values.reshape(tuple(wanted)))

    def view(self, dtype: DType) -> Tensor:
        """The same bytes taken for another type of the same size."""
        return Tensor(self._values.view(dtype.numpy()))

    def to(self, *where: str | DType, copy: bool = False) -> Tensor:
        """The values in another type; a device can only be the CPU."""
        found = self._values
        for one in where:
            if isinstance(one, DType):
                with np.errstate(all="ignore"):  # beyond the range of a type is infinite there
                    found = found.astype(one.numpy(), copy=False)
        return Tensor(found.copy() if copy and found is self._values else found)

    def float(self) -> Tensor:
        """In float32."""
        return self.to(DTYPES["float32"])

    def double(self) -> Tensor:
        """In float64."""
        return self.to(DTYPES["float64"])

    @np.errstate(all="ignore")
    def square(self) -> Tensor:
        """Each value times itself."""
        return Tensor(np.square(self._values))

    @np.errstate(all="ignore")
    def sqrt(self) -> Tensor:
        """The root of each value."""
        return Tensor(np.sqrt(self._values))

    @np.errstate(all="ignore")
    def sum(self, axes: Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
        """The sum over some axes, or over all."""
        over = None if axes is None else tuple(axes)
        return Tensor(np.asarray(self._values.sum(over, keepdims=keepdim)))

    @np.errstate(all="ignore")
    def __mul__(self, other: Tensor) -> Tensor:
        return Tensor(np.asarray(self._values * other._values))

    @np.errstate(all="ignore")
    def __truediv__(self, other: Tensor) -> Tensor:
        return Tensor(np.asarray(self._values / other._values))


class Parameter(Tensor):
    """A tensor that was a parameter in the file."""

    def __new__(cls, values: Tensor, requires_grad: bool = False) -> Tensor:  # type: ignore[misc]  # whose it is
        """The tensor itself: what is trained is not told from what is not."""
        return values


def _address(values: Array) -> int:
    return int(values.__array_interface__["data"][0])
