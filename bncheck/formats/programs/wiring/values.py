"""A call of an operator whose arguments are known as far as they can be before the program runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bncheck.core import FloatArray
from bncheck.errors import ModelError
from bncheck.formats.tensors import channel_values, plain


@dataclass(frozen=True, slots=True)
class Value:
    """What depends on what the model is given, by its place in the drawing."""

    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call.

    Attributes:
        operator: its schema's name, `aten::conv2d`.
        given: its arguments by name.
        names: the program's tensors' names by storage address.
        shapes: of its (first) argument and of its (first) result; `None` where they are not known.
    """

    operator: str
    given: Mapping[str, Any]
    names: Mapping[int, str]
    shapes: tuple[Sequence[Any] | None, Sequence[Any] | None] = (None, None)

    @property
    def plain_name(self) -> str:
        """`add` for `aten::add_`."""
        return self.operator.partition("::")[2].rstrip("_").lstrip("_")

    @property
    def source(self) -> Value | None:
        """Its first argument, where that is a value."""
        first = next(iter(self.given.values()), None)
        return first if isinstance(first, Value) else None

    @property
    def rank(self) -> int | None:
        """How many axes its first argument has."""
        return None if self.shapes[0] is None else len(self.shapes[0])

    def tensor(self, role: str) -> torch.Tensor | None:
        """An argument that is a tensor of the program."""
        found = self.given.get(role)
        return found if isinstance(found, torch.Tensor) else None

    def number(self, role: str) -> float | None:
        """An argument that is a number."""
        found = self.given.get(role)
        if isinstance(found, torch.Tensor) and found.numel() == 1:
            return float(plain(found))
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    def sizes(self, role: str) -> tuple[int, ...] | None:
        """An argument that is a whole number or a list of them."""
        found = self.given.get(role)
        listed = found if isinstance(found, list | tuple) else [found]
        return tuple(listed) if all(isinstance(one, int) and not isinstance(one, bool) for one in listed) else None

    def is_channels(self, axis: Any) -> bool:
        """Whether an axis is that of the channels."""
        if not isinstance(axis, int):
            return False
        return axis == 1 or (axis < 0 and self.rank is not None and axis + self.rank == 1)


def per_channel(value: Any, channels: int | None) -> FloatArray | None:
    """A constant as one number, or one per channel: shape (1,) or (C,); `None` where it is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return np.array([float(value)])
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.is_meta:
        return None
    shape = list(value.shape)
    if value.numel() == 1:
        return _read(value)
    # (1, C), (1, C, 1, 1) and (C, 1, 1); what is (C,) alone meets the last axis.
    shape = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    broad = len(value.shape) > 1 and all(size == 1 for size in shape[1:])
    return _read(value) if broad and channels in (None, shape[0]) else None


def _read(value: torch.Tensor) -> FloatArray | None:
    try:
        return channel_values(value)
    except ModelError:
        return None
