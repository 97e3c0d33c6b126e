"""A call of an operator whose arguments are known as far as they can be before the program runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bncheck.core import FloatArray
from bncheck.formats.tensors import plain
from bncheck.formats.wiring import constants


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
        listed = [*found] if isinstance(found, list | tuple) else [found]
        whole = [one for one in listed if isinstance(one, int) and not isinstance(one, bool)]
        return tuple(whole) if len(whole) == len(listed) else None

    def is_channels(self, axis: Any) -> bool:
        """Whether an axis is that of the channels."""
        if not isinstance(axis, int):
            return False
        return axis == 1 or (axis < 0 and self.rank is not None and axis + self.rank == 1)


def per_channel(value: Any, channels: int | None) -> FloatArray | None:
    """A constant as one number, or one per channel: shape (1,) or (C,); `None` where it is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return np.array([float(value)])
    if not isinstance(value, torch.Tensor) or value.is_meta or value.is_complex():
        return None
    try:
        values = plain(value).cpu().to(torch.float64).numpy()
    except (RuntimeError, TypeError):  # of a type whose values PyTorch cannot give
        return None
    return constants.per_channel(values, channels)
