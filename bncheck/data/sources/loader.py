"""Running the user's loader: its random numbers, prints and errors kept apart from ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, RandomSampler

from bncheck.data.forms.parts import type_name
from bncheck.data.process_state import OwnSettings
from bncheck.data.randomness import IsolatedRandomness
from bncheck.data.sources.samples import batches_of
from bncheck.data.sources.sharding import without_copies
from bncheck.data.sources.share import ALL, Share
from bncheck.data.sources.shares import OwnBatches, own_batches
from bncheck.errors import DataError
from bncheck.user_code import users_code
from bncheck.vocabulary import with_article

_END = object()


class LoaderPass:
    """One pass over the user's loader.

    Args:
        name: what errors call it.
        open_loader: gives the iterable of batches, or a single batch.
        seed: for the random numbers the loader draws.
        share: which of its batches are wanted, where they can be had alone.

    Attributes:
        own: the batches of the share, where no others are read; `None` where all are.
        is_shuffled: whether it is known that the loader draws its samples at random.
        ends: whether the loader says how many batches it has: one that does not may go on for ever.
        workers_left: how many of the loader's workers were left out, since each would have read every sample.

    Raises:
        DataError: `open_loader` raised, or gave something that is no iterable of batches.
    """

    def __init__(self, name: str, open_loader: Callable[[], Any], seed: int, share: Share = ALL) -> None:
        self._name = name
        self._randomness = IsolatedRandomness(seed)
        self._settings = OwnSettings()
        with self._running_user_code():
            opened, self.workers_left = without_copies(batches_of(open_loader(), name))
            refuse_non_loader(opened, name)
            # Iterating a single batch would give its samples, or x and then y.
            is_batch = isinstance(opened, torch.Tensor | np.ndarray | tuple | Mapping)
            self._loader = [opened] if is_batch else opened
            generators = _generators(self._loader)
            self.is_shuffled = isinstance(getattr(self._loader, "sampler", None), RandomSampler)
            self.ends = is_batch or _has_length(self._loader)
            self.own: OwnBatches | None = None
            if share.count > 1 and (shared := own_batches(self._loader, share)) is not None:
                self._loader, self.own = shared
        self._randomness.cover(generators)

    def items(self) -> Iterator[object]:
        """What the loader gives; it is closed when the caller stops early.

        Raises:
            DataError: the loader raised.
        """
        with self._running_user_code():
            iterator = iter(self._loader)
        try:
            while (item := self._next(iterator)) is not _END:
                yield item
                del item  # or it was held while the next one is made
        finally:
            if isinstance(iterator, Generator):
                # What it raises now says nothing of the batches that were read, and nobody is there to hear it.
                with contextlib.suppress(DataError), self._running_user_code():
                    iterator.close()

    def _next(self, iterator: Iterator[object]) -> object:
        with self._running_user_code():
            return next(iterator, _END)

    @contextlib.contextmanager
    def _running_user_code(self) -> Iterator[None]:
        with (
            self._randomness.active(),
            self._settings.active(),
            users_code(lambda said: DataError(f"{self._name}: the loader raised {said}")),
        ):
            yield


def refuse_non_loader(loader: object, name: str) -> None:
    """Refuse with a `DataError` what cannot give batches, or would give single samples."""
    if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
        raise DataError(
            f"{name}: {with_article(type_name(loader))} gives samples, not batches; "
            "wrap it in torch.utils.data.DataLoader(dataset, batch_size=...)."
        )
    is_iterable = hasattr(loader, "__iter__") or hasattr(loader, "__getitem__")
    if not is_iterable or isinstance(loader, str | bytes):
        raise DataError(f"{name}: {with_article(type_name(loader))} is not an iterable of batches, as a DataLoader is.")


def _has_length(loader: Any) -> bool:
    try:
        return len(loader) >= 0
    except Exception:  # noqa: BLE001  # whatever its own code raises: it has not said
        return False


def _generators(loader: object) -> list[torch.Generator]:
    owners = (loader, getattr(loader, "sampler", None))
    found = [getattr(owner, "generator", None) for owner in owners]
    return [generator for generator in found if isinstance(generator, torch.Generator)]
