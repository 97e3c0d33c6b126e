"""Sources with random access: arrays, tables, folders of images, tar files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bncheck.data.batches import Batch, Inputs, Labels, map_labels, tensors
from bncheck.data.forms.targets import number_of
from bncheck.data.slicing.names import SliceColumn
from bncheck.errors import DataError
from bncheck.results import Note
from bncheck.tensors import torch

Indices = np.ndarray[Any, np.dtype[np.int64]]
Span = tuple[int, int]
"""Numbers of samples in a reading: of the first, and of the one after the last."""


class _Part:
    """Reads some of the samples of a source, by their numbers among these."""

    def __init__(self, read: Callable[[Indices], Inputs], numbers: Indices) -> None:
        self._read = read
        self._numbers = numbers

    def __call__(self, chosen: Indices) -> Inputs:
        return self._read(self._numbers[chosen])


class IndexedSource:
    """A source whose samples can be read by number.

    Args:
        name: what errors and reports call it.
        count: the number of samples.
        labels: (count, ...), of several outputs by their keys, or `None`.
        read: preprocessed inputs of the samples with these numbers, in this order.
        notes: what the reader of a report should know of them.
        hint: what to try where a model refuses them.
        in_order: whether somebody chose their order.
        workers: processes that read ahead.

    Attributes:
        slices: which slice each sample belongs to, by a column; `None` where none was asked for.

    Raises:
        DataError: there are no samples, or not as many labels.
    """

    def __init__(
        self,
        name: str,
        count: int,
        labels: Labels | None,
        read: Callable[[Indices], Inputs],
        *,
        notes: Sequence[Note] = (),
        hint: str = "",
        in_order: bool = True,
        workers: int = 0,
    ) -> None:
        if count == 0:
            raise DataError(f"{name}: it has no samples.")
        if labels is not None and any(one.ndim == 0 or len(one) != count for one in tensors(labels)):
            raise DataError(f"{name}: {count} samples, but {number_of(labels, count)}; there must be as many.")
        self.name = name
        self.samples: int | None = count
        self.own_batches = False
        self.in_order = in_order
        self.notes = tuple(notes)
        self.hint = hint
        self._count = count
        self._labels = labels
        self._read = read
        self._workers = workers
        self.slices: SliceColumn | None = None

    def sliced(self, slices: SliceColumn | None) -> IndexedSource:
        """The source itself, whose samples belong to these slices."""
        self.slices = slices
        return self

    def split(self, share: float, seed: int) -> tuple[IndexedSource, IndexedSource]:
        """Two sources that share no sample: one without and one of the drawn `share`, each in this source's own order.

        Raises:
            DataError: there are not samples enough for both.
        """
        order = np.random.default_rng(seed).permutation(self._count)
        drawn = max(round(share * self._count), 1)
        return self._part(np.sort(order[drawn:])), self._part(np.sort(order[:drawn]))

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Batches drawn without replacement from all samples."""
        yield from self._read_in(_cut(self._drawn(seed, limit), batch_size))

    def spans(self, spans: Sequence[Span], *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Of the samples in the order in which `batches` draws them those of each span; nothing else is read."""
        order = self._drawn(seed, limit)
        yield from self._read_in([order[start:stop] for start, stop in spans])

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """Batches of `batch_size` in the source's own order; nothing is drawn, so `seed` is not used."""
        yield from self._read_in(_cut(np.arange(self._count)[:limit], batch_size, every))

    def _part(self, numbers: Indices) -> IndexedSource:
        labels = self._labels_at(torch.from_numpy(numbers))
        return IndexedSource(
            self.name,
            len(numbers),
            labels,
            _Part(self._read, numbers),
            notes=self.notes,
            hint=self.hint,
            in_order=self.in_order,
            workers=self._workers,
        ).sliced(None if self.slices is None else self.slices.taken(torch.from_numpy(numbers)))

    def _drawn(self, seed: int, limit: int | None) -> Indices:
        order: Indices = np.random.default_rng(seed).permutation(self._count)[:limit]
        return order

    def _read_in(self, chunks: Sequence[Indices]) -> Iterator[Batch]:
        from bncheck.data.workers import read_ahead  # by PyTorch's loader, whose classes its own are made of

        read = read_ahead(self._read, chunks, self._workers)
        for chosen in chunks:
            positions = torch.from_numpy(chosen)
            slices = None if self.slices is None else self.slices.codes[positions]
            yield Batch(next(read), self._labels_at(positions), len(chosen), positions, slices)

    def _labels_at(self, numbers: torch.Tensor) -> Labels | None:
        return None if self._labels is None else map_labels(self._labels, lambda tensor: tensor[numbers])


def _cut(order: Indices, size: int, every: int = 1) -> list[Indices]:
    return [order[start : start + size] for start in range(0, len(order), every * size)]
