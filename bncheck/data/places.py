"""Memory of samples: taken in blocks, since single ones leave holes behind, and what lies free given back."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch

from bncheck.data.batches import Batch, map_labels, map_tensors


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

    def put(self, place: int, sample: Batch) -> None:
        """Copy the sample there."""
        if self._rows is None:
            self._apart[place] = sample.copy()
        else:
            copy_into(self.at(place), sample)

    def at(self, place: int) -> Batch:
        """The sample there, as a view."""
        return self._apart[place] if self._rows is None else self._rows.between(place, place + 1)

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
