"""Memory of samples: taken in blocks, since single ones leave holes behind, and what lies free given back."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck.data.batches import Batch, map_labels, map_tensors
from bncheck.tensors import torch

_SAMPLES_AT_ONCE = 64
_BYTES_AT_ONCE = 1 << 20
"""The most that is copied of the places before it is read: large samples one by one, since they take no time each."""


class Places:
    """Places for samples of one form, in memory that is taken once; those of sizes of their own are kept one by one.

    Args:
        like: a sample of the form.
        number: of the places.
    """

    def __init__(self, like: Batch, number: int) -> None:
        def room(tensor: torch.Tensor) -> torch.Tensor:
            return torch.empty((number, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)

        self._apart: dict[int, Batch] = {}
        self._rows: Batch | None = None
        if not like.has_one_shape:
            return
        targets = None if like.targets is None else map_labels(like.targets, room)
        numbers = (None if one is None else torch.empty(number, dtype=one.dtype) for one in _numbers(like))
        self._rows = Batch(map_tensors(like.inputs, room), targets, number, *numbers)

    def put(self, place: int, samples: Batch) -> None:
        """Copy the samples there, to this place and those that follow."""
        if self._rows is None:
            self._apart |= {place + number: sample.copy() for number, sample in enumerate(samples.split(1))}
        else:
            copy_into(self._rows.between(place, place + samples.size), samples)

    def at(self, place: int) -> Batch:
        """The sample there, as a view."""
        return self._apart[place] if self._rows is None else self._rows.between(place, place + 1)

    def taken(self, order: npt.NDArray[np.int64]) -> Iterator[Batch]:
        """The samples of these places in this order, as copies of a few at a time or, of sizes of their own, singly."""
        if self._rows is None:
            yield from (self._apart[place] for place in order.tolist())
            return
        each = sum(tensor.nbytes for tensor in self._rows.between(0, 1).all_tensors)
        at_once = max(1, min(_SAMPLES_AT_ONCE, _BYTES_AT_ONCE // max(1, each)))
        for start in range(0, len(order), at_once):
            yield self._rows.take(torch.from_numpy(order[start : start + at_once]))

    def first(self, number: int) -> Batch:
        """The first samples, as views where they have one shape."""
        if self._rows is None:
            return Batch.join([self._apart[place] for place in range(number)])
        return self._rows.between(0, number)


class Shelf:
    """Holds single samples of any forms; the place of one that is let go of is another's.

    Args:
        block: places that are taken at once.
    """

    def __init__(self, block: int) -> None:
        self._block = block
        self._free: dict[object, list[Batch]] = {}
        self._held: dict[int, Batch] = {}

    def put(self, sample: Batch) -> Batch:
        """A copy of the sample."""
        if not sample.has_one_shape:
            return sample.copy()
        free = self._free.setdefault(_kind(sample), [])
        if not free:
            places = Places(sample, self._block)
            free += [places.at(place) for place in range(self._block)]
        held = free.pop()
        copy_into(held, sample)
        self._held[id(held)] = held
        return held

    def let_go(self, held: Batch) -> None:
        """Give the place of a sample to others; nothing is done where it is none of the shelf's."""
        if self._held.pop(id(held), None) is not None:
            self._free[_kind(held)].append(held)


class Heap:
    """Gives back what lies free, now and then: each time what is needed next has to be asked for anew.

    Args:
        every: bytes of samples after which it does.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._passed = 0

    def passed(self, size: int) -> None:
        """So many bytes of samples were read and let go of."""
        self._passed += size
        if self._passed >= self._every:
            self._passed = 0
            give_back()


def copy_into(place: Batch, sample: Batch) -> None:
    """Copy one sample, or as many as the place has, of its form."""
    for column, given in zip(place.all_tensors, sample.all_tensors, strict=True):
        column.copy_(given)
    for numbers, own in zip(_numbers(place), _numbers(sample), strict=True):
        if numbers is not None and own is not None:
            numbers.copy_(own)


def _numbers(batch: Batch) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """What numbers the samples beside what they are."""
    return batch.positions, batch.slices


def _kind(sample: Batch) -> object:
    return sample.form, *(one is None for one in _numbers(sample))


def give_back() -> None:
    """Have the system take what lies free, where the C library can (glibc, which else keeps it)."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return None
