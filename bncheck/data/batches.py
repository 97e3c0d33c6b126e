"""What every data source gives: batches of samples, and a promise of how they were drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

Inputs = torch.Tensor | tuple[torch.Tensor, ...] | dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples to be run together.

    Attributes:
        inputs: what the model is called with: one tensor (N, ...), a tuple of positional inputs,
            or a dict of named ones; every tensor's first axis is the sample.
        labels: first axis N, or `None` where the source has no labels.
        size: N.

    A loader whose inputs and labels do not share their first axis (graphs: nodes against graphs) is passed
    on as it is; N is then the first axis of its first input.
    """

    inputs: Inputs
    labels: torch.Tensor | None
    size: int


class Source(Protocol):
    """Data that can be read more than once, in batches of a chosen size.

    Attributes:
        name: what the user typed, or the type of what the library was handed.
        samples: how many samples there are; `None` for a stream that has not said.
        own_batches: whether it makes its own batches, as a loader does.
        in_order: whether somebody chose its order: class folders are listed one after the other by anybody.
        notes: what the reader of a report should know of them.
        hint: what to try where a model refuses them; empty where nothing is known.
    """

    name: str
    samples: int | None
    own_batches: bool
    in_order: bool
    notes: tuple[str, ...]
    hint: str

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Batches of `batch_size` samples (the last may be smaller), mixed: drawn at random under `seed`.

        With `limit` that many samples are drawn. Sources with random access draw without replacement from
        all samples; streams go through a seeded reservoir or shuffle buffer (`bncheck.data.mixing`). The same
        seed gives the same batches.

        Raises:
            DataError: the data cannot be read, are empty, or the loader raised.
        """
        ...

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """Batches in the source's own order and, where it makes its own batches, of its own size.

        A loader that draws at random draws under `seed`. With `limit` they end after that many samples; with
        `every` only each such batch is given, from the first on, and what lies between is not read where there
        is random access.
        """
        ...
