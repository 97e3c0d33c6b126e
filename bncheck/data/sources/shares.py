"""A share of a loader: what one of several processes reads of the batches that all of them would read."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, IterableDataset

from bncheck.data.sources.share import Share


class OwnBatches:
    """The numbers of the samples of every `count`-th batch; the data set is asked for no others.

    Args:
        batches: the numbers of all batches, in their order.
        share: which of them are read.

    Attributes:
        places: of the batches that were asked for, how many samples lie before each, and how many it has.
        order: what tells the order that is shared out from another, by the first batch; `None` before it was met.
    """

    def __init__(self, batches: Iterable[Sequence[int]], share: Share) -> None:
        self._batches = batches
        self._share = share
        self.places: deque[tuple[int, int]] = deque()
        self.order: int | None = None

    def __iter__(self) -> Iterator[Sequence[int]]:
        before = 0
        for number, chosen in enumerate(self._batches):
            held = list(chosen)
            if self.order is None:
                self.order = zlib.crc32(repr(held).encode())
            if number % self._share.count == self._share.index:
                self.places.append((before, len(held)))
                yield held
            before += len(held)


def own_batches(loader: Any, share: Share) -> tuple[DataLoader[Any], OwnBatches] | None:
    """A loader of the share alone, over a data set with random access; `None` where all has to be read to skip some.

    The user's loader is left as it is. A `DistributedSampler`, which repeats samples until all shares are even, is
    passed by: its data set is shared out instead.
    """
    is_plain = isinstance(loader, DataLoader) and type(loader).__iter__ is DataLoader.__iter__
    if not is_plain or loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
        return None
    own = OwnBatches(_all_batches(loader), share)
    workers = loader.num_workers
    shared: DataLoader[Any] = DataLoader(
        loader.dataset,
        batch_sampler=own,  # type: ignore[arg-type]  # any iterable serves
        num_workers=workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context if workers else None,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor if workers else None,
    )
    return shared, own


def _all_batches(loader: DataLoader[Any]) -> Iterable[Sequence[int]]:
    """The numbers of the samples of all batches, each sample once."""
    sampler: Any = loader.sampler
    if not isinstance(sampler, DistributedSampler):
        return loader.batch_sampler  # type: ignore[return-value]  # who calls this knows that there is one
    order: Sequence[int] = range(len(sampler.dataset))  # type: ignore[arg-type]  # it has asked for that itself
    if sampler.shuffle:
        drawn = torch.Generator().manual_seed(sampler.seed + sampler.epoch)
        order = torch.randperm(len(order), generator=drawn).tolist()
    return BatchSampler(order, loader.batch_size or 1, drop_last=False)
