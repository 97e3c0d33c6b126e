"""The samples a training run is watched on: drawn once, or read by a loader of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from bncheck.data import Batch, Source, StreamSource, limited, open_data, type_name
from bncheck.settings import DataSettings

READ_BATCH = 64
READ_OF_STREAM = 4
"""Of a stream, which cannot be drawn from, so many times the samples that are wanted are read."""
_EVERY_SAMPLE_ALIKE = (SequentialSampler, RandomSampler, DistributedSampler)


class DrawnSamples:
    """A source whose samples were drawn once and are kept in memory, so that every evaluation sees the same ones.

    Its batches are those that `source.batches` gives under the same seed and limit.

    Args:
        source: where to draw from.
        samples: how many to draw.
        seed: of the draw.

    Raises:
        DataError: the source cannot be read, or is empty.
    """

    def __init__(self, source: Source, samples: int, seed: int) -> None:
        self.name = source.name
        self.own_batches, self.in_order = False, source.in_order
        self.notes, self.hint = source.notes, source.hint
        self._kept = list(source.batches(samples, seed=seed, limit=samples))
        self.samples: int | None = sum(batch.size for batch in self._kept)

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Batches in the order of the draw; `seed` is not used."""
        yield from limited((part for batch in self._kept for part in batch.split(batch_size)), limit)

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """The same: the source's own order is not known any more."""
        yield from islice(self.batches(batch_size, limit=limit), None, None, every)


def source_of(data: Any, samples: int) -> Source:
    """A source of `data` whose reading leaves the training's own iteration alone.

    A `DataLoader` is not iterated itself: one with persistent workers has a single iterator, which the training may
    be in the middle of, and samplers count epochs. Its dataset is read through a loader of our own, in this process,
    drawn at random (by the loader's own sampler, where that weighs the samples).

    Args:
        data: whatever `bncheck.inspect` takes as data.
        samples: how many will be wanted, which bounds what is read of a stream.

    Raises:
        UsageError: there is no such file.
        DataError: the data are of a form that is not accepted.
    """
    if not isinstance(data, DataLoader):
        return open_data(data)
    own = _own_loader(data)
    if isinstance(data.dataset, IterableDataset):
        batches = -(-READ_OF_STREAM * samples // READ_BATCH)
        return StreamSource(type_name(data), _beginning(own, batches), DataSettings())
    return StreamSource(type_name(data), lambda: own, DataSettings(), len(data.dataset))  # type: ignore[arg-type]


def _own_loader(loader: DataLoader[Any]) -> DataLoader[Any]:
    dataset = loader.dataset
    # A loader that does not batch has a dataset that gives batches.
    size = None if loader.batch_size is None and loader.batch_sampler is None else READ_BATCH
    if isinstance(dataset, IterableDataset):
        return DataLoader(dataset, batch_size=size, collate_fn=loader.collate_fn)
    sampler = copy.copy(loader.sampler)
    if type(sampler) in _EVERY_SAMPLE_ALIKE:
        sampler = RandomSampler(dataset)  # type: ignore[arg-type]  # it has a length, being no stream
    return DataLoader(dataset, batch_size=size, sampler=sampler, collate_fn=loader.collate_fn)


def _beginning(loader: DataLoader[Any], batches: int) -> Callable[[], Iterator[Any]]:
    return lambda: islice(loader, batches)
