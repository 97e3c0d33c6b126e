"""The stand-in for PyTorch: a module with its names, as far as auditing a file asks for them.

Whatever else is taken from it says that PyTorch is to be installed.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from bncheck.extras import missing
from bncheck.tensors.dtypes import DTYPES, STRIDED, DType, Layout, MemoryFormat, QScheme, dtype_of
from bncheck.tensors.dtypes import Size as Size
from bncheck.tensors.tensor import Array, Parameter, Tensor, untyped_storage
from bncheck.vocabulary import argument

dtype, layout, memory_format, qscheme = DType, Layout, MemoryFormat, QScheme
strided = STRIDED
sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc = (
    Layout(f"sparse_{name}") for name in ("coo", "csr", "csc", "bsr", "bsc")
)
UntypedStorage = untyped_storage
globals().update(DTYPES)


def __getattr__(name: str) -> NoReturn:
    """Raise what says that PyTorch is to be installed; what the import system asks for is not there."""
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing("torch", f"this (torch.{name})")


class _Part:
    """A part of PyTorch of which little is there."""

    def __init__(self, name: str, **known: Any) -> None:
        self._name = name
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> NoReturn:
        raise missing("torch", f"this (torch.{self._name}.{name})")


class _Module:
    """A network: nothing is one."""


class _Program(_Module):
    """A program of some kind: nothing is one."""


class device:  # noqa: N801  # as PyTorch calls it
    """Where a tensor was, by name."""

    def __init__(self, name: str, index: int | None = None) -> None:
        self.type = name
        self.index = index


_rnn = _Part("nn.utils.rnn", PackedSequence=_Module)
nn = _Part("nn", Module=_Module, Parameter=Parameter, utils=_Part("nn.utils", rnn=_rnn))
_weights_only_unpickler = None
jit = _Part("jit", ScriptModule=_Program)
fx = _Part("fx", GraphModule=_Program)
export = _Part("export", ExportedProgram=_Program)
cuda = _Part("cuda", is_available=lambda: False, is_initialized=lambda: False, device_count=lambda: 0)


def from_numpy(values: Array) -> Tensor:
    """The array as a tensor, not copied.

    Raises:
        TypeError: its values are of a type that no tensor has.
    """
    dtype_of(values.dtype)
    return Tensor(values)


def empty(*size: int, dtype: DType) -> Tensor:
    """Values that are not set."""
    return Tensor(np.empty(size, dtype.numpy()))


def zeros(*size: int, device: str = "cpu") -> Tensor:
    """Zeros in float32.

    Raises:
        MissingExtraError: on another device than the CPU.
    """
    if device != "cpu":
        raise missing("torch", f"{argument('device')} {device}")
    return Tensor(np.zeros(size, np.float32))


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether shape and values are the same; NaN is not the same as anything."""
    return np.array_equal(one.numpy(), other.numpy())


def finfo(dtype: DType) -> Any:
    """What a type of floats can tell apart.

    Raises:
        TypeError: it is none.
    """
    if not dtype.is_floating_point:
        raise TypeError(f"{dtype} is no type of floats")
    if dtype.name in ("float64", "float32", "float16"):
        return np.finfo(dtype.numpy())
    import ml_dtypes

    known: Any = ml_dtypes
    return SimpleNamespace(eps=float(known.finfo(dtype.numpy()).eps))
