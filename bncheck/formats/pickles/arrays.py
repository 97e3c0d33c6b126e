"""NumPy's scalars and arrays out of pickles, of numbers and fixed texts alone: an array of objects stays empty."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.made import Known, NotMadeError

_PLAIN = re.compile(r"[<>|=]?[biufcSU][1-9][0-9]{0,8}")
"""Numbers, and texts of a fixed length: what NumPy makes of bytes without asking anybody."""
_ORDERS = ("<", ">", "|", "=")
_MOST_AXES = 32
_FORMAT = 1
"""Of an array's state; NumPy leaves the number out in its oldest."""


def _dtype(arguments: tuple[Any, ...], budget: Budget) -> np.dtype[Any]:
    name = arguments[0] if arguments else None
    if not isinstance(name, str) or not _PLAIN.fullmatch(name):
        raise NotMadeError
    try:
        return np.dtype(name, copy=True)  # of its own: its order of bytes may be set
    except (TypeError, ValueError) as error:
        raise NotMadeError from error


def _scalar(arguments: tuple[Any, ...], budget: Budget) -> Any:
    match arguments:
        case (np.dtype() as dtype, bytes() | str() as given):
            values = _raw(given)
            if len(values) != dtype.itemsize or not values:
                raise ValueError("a number has not as many bytes as its type")
            return np.frombuffer(values, dtype)[0]
    raise NotMadeError


def _array(arguments: tuple[Any, ...], budget: Budget) -> np.ndarray[Any, Any]:
    """`_reconstruct(class, shape, type)`: without values, which come by `restore`; subclasses stay placeholders."""
    if not arguments or arguments[0] is not NDARRAY:
        raise NotMadeError
    return np.ndarray((0,), np.uint8)


def _buffer(arguments: tuple[Any, ...], budget: Budget) -> np.ndarray[Any, Any]:
    """`_frombuffer(bytes, type, shape, order)` of the newest protocol."""
    match arguments:
        case (bytes() | bytearray() as given, np.dtype() as dtype, tuple() as shape, "C" | "F" as order):
            _require(shape, dtype, given)
            budget.charge(len(given))
            return np.frombuffer(bytes(given), dtype).reshape(shape, order=order)
    raise NotMadeError


def restore(target: Any, state: Any, budget: Budget) -> None:
    """Give an array its values, or a type its order of bytes; nothing is done to what is neither.

    Raises:
        ValueError: the values are not as many as the shape says.
    """
    if isinstance(target, np.ndarray):
        match state[-4:] if isinstance(state, tuple) else None:
            case (tuple() as shape, np.dtype() as dtype, bool() | int() as in_columns, bytes() | str() as given):
                values = _raw(given)
                _require(shape, dtype, values)
                budget.charge(len(values))
                state = (_FORMAT, shape, dtype, bool(in_columns), values)
                target.__setstate__(state)
    elif isinstance(target, np.dtype):
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order in _ORDERS and target.kind not in "S":
            size = target.itemsize if target.kind == "U" else -1
            align = target.alignment if target.kind == "U" else -1
            target.__setstate__((3, order, None, None, None, size, align, 0))  # type: ignore[attr-defined]


def _require(shape: tuple[Any, ...], dtype: np.dtype[Any], values: bytes | bytearray) -> None:
    if len(shape) > _MOST_AXES or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("an array has a shape that is none")
    if math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError("an array has not as many values as its shape says")


def _raw(given: bytes | str) -> bytes:
    """Python 2 wrote bytes as text."""
    return given.encode("latin-1") if isinstance(given, str) else given


NDARRAY = Known("numpy.ndarray", _array)
_INNER = ("numpy.core", "numpy._core")
ARRAYS = (
    NDARRAY,
    Known("numpy.dtype", _dtype),
    *(Known(f"{inner}.multiarray.scalar", _scalar) for inner in _INNER),
    *(Known(f"{inner}.multiarray._reconstruct", _array) for inner in _INNER),
    *(Known(f"{inner}.numeric._frombuffer", _buffer) for inner in _INNER),
)
