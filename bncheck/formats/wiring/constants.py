"""Constants that values are multiplied by, or that are added to them."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from bncheck.core import FloatArray, in_float64


def per_channel(value: npt.NDArray[Any], channels: int | None) -> FloatArray | None:
    """A constant as one number, or one per channel: shape (1,) or (C,); `None` where it is neither.

    (1, C), (1, C, 1, 1) and (C, 1, 1) hold one per channel; what is (C,) alone meets the last axis.
    """
    if value.dtype.kind not in "fiu":
        return None
    if value.size == 1:
        return in_float64(value).reshape(-1)
    shape = value.shape[1:] if value.ndim > 1 and value.shape[0] == 1 else value.shape
    broad = value.ndim > 1 and all(size == 1 for size in shape[1:])
    return in_float64(value).reshape(-1) if broad and channels in (None, shape[0]) else None
