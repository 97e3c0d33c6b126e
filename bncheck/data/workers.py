"""Reading and decoding in worker processes, in the order in which one process would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from bncheck.data.batches import Inputs
from bncheck.errors import DataError


def read_ahead(read: Callable[[Any], Inputs], chunks: Sequence[Any], workers: int) -> Iterator[Inputs]:
    """What `read` gives for each of `chunks`, in their order.

    The first is read here, so that who wants no more starts no process; without workers all are.

    Args:
        read: reads a chunk, the same wherever it runs.
        chunks: what to read.
        workers: processes.

    Raises:
        DataError: as `read`, at the chunk that it is about.
    """
    here = len(chunks) if workers < 1 else min(1, len(chunks))
    for chunk in chunks[:here]:
        yield read(chunk)
    if here == len(chunks):
        return
    loader = DataLoader(
        _Chunks(read, chunks[here:]),
        batch_size=None,
        num_workers=min(workers, len(chunks) - here),
        collate_fn=_as_it_is,
        generator=torch.Generator(),  # else it draws from everybody's
    )
    for given in loader:
        if isinstance(given, DataError):
            raise given
        yield given


class _Chunks(Dataset[Any]):
    """The chunks as samples of a data set; what is wrong with one is a value, so that it comes back unchanged."""

    def __init__(self, read: Callable[[Any], Inputs], chunks: Sequence[Any]) -> None:
        self._read = read
        self._chunks = chunks

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, number: int) -> Inputs | DataError:
        try:
            return self._read(self._chunks[number])
        except DataError as error:
            return error


def _as_it_is(given: Any) -> Any:
    return given
