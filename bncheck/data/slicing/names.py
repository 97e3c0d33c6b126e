"""The names of slices, and the numbers by which samples carry them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bncheck.data.forms.parts import type_name
from bncheck.encoding import printable
from bncheck.errors import DataError
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article

MOST_SLICES = 100
"""Slices with moments of their own; beyond them samples are counted among `OTHERS`."""
OTHERS, MISSING = "others", "missing"
LABEL = "label"
"""What slices by the labels are asked for by, where no column is called so."""
_LONGEST = 80
"""Characters of a name."""


class SliceNames:
    """The names that were met, in order; beyond `MOST_SLICES` a new one is `OTHERS`.

    Attributes:
        names: by number.
        overflowed: whether there were more, in the order in which the samples came.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.overflowed = False
        self._numbers: dict[str, int] = {}

    def codes(self, values: Sequence[object]) -> torch.Tensor:
        """The number of each sample's slice, (n,) int64."""
        return torch.tensor([self._number(name_of(value)) for value in values], dtype=torch.int64)

    def _number(self, name: str) -> int:
        known = self._numbers.get(name)
        if known is not None:
            return known
        if name != OTHERS and len(self._numbers.keys() - {OTHERS}) >= MOST_SLICES - 1:
            self.overflowed = True
            return self._number(OTHERS)
        self._numbers[name] = len(self.names)
        self.names.append(name)
        return self._numbers[name]


@dataclass(frozen=True, slots=True, eq=False)
class SliceColumn:
    """The slices of all samples of a source, known before any of them is read.

    Attributes:
        names: of the slices, by number.
        codes: the number of each sample's, (N,) int64.
        left_out: names of the rarest, whose samples are all counted among `OTHERS`.
    """

    names: SliceNames
    codes: torch.Tensor
    left_out: int = 0

    @classmethod
    def of(cls, values: object, count: int, where: str) -> SliceColumn:
        """The slices that a column names.

        Raises:
            DataError: it has not one value a sample.
        """
        named = list(map(name_of, one_each(values, count, where)))
        counted = Counter(named)
        kept = set(counted)
        if len(counted) > MOST_SLICES:
            kept = {
                name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[: MOST_SLICES - 1]
            }
        names = SliceNames()
        codes = names.codes([name if name in kept else OTHERS for name in named])
        return cls(names, codes, len(counted) - len(kept))

    def taken(self, numbers: torch.Tensor) -> SliceColumn:
        """The same of some samples."""
        return SliceColumn(self.names, self.codes[numbers], self.left_out)


def one_each(values: object, count: int, where: str) -> Sequence[object]:
    """The values as a sequence with one for each sample.

    Raises:
        DataError: there are others.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    if isinstance(values, np.ndarray):
        values = values.reshape(len(values)) if values.ndim > 1 and values.size == len(values) else values
        if values.ndim != 1:
            raise DataError(
                f"{where}: slices are named by one value a sample, and these have the shape {values.shape}."
            )
        values = values.tolist()
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise DataError(f"{where}: expected one slice name a sample, not {with_article(type_name(values))}.")
    named = list(values)
    if len(named) != count:
        raise DataError(f"{where}: {len(named)} slice names for {count} samples; there must be one for each.")
    return named


def name_of(value: Any) -> str:
    """The name of a slice: numbers as they are written, whole ones without a point.

    >>> name_of("north"), name_of(3.0), name_of(b"a"), name_of(float("nan")), name_of(True)
    ('north', '3', 'a', 'missing', 'True')
    """
    if isinstance(value, torch.Tensor | np.generic | np.ndarray):
        if value.size != 1 if isinstance(value, np.ndarray | np.generic) else value.numel() != 1:
            raise DataError(f"{argument('by')}: a slice name is one text or number, not an array of {value.shape}.")
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float):
        return f"{value:g}"
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return printable(text)[:_LONGEST] or MISSING
