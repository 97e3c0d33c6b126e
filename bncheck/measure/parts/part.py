"""A part: what the passes over one shard of the data collected, with all that says what it may be put together with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bncheck.data import Batch, Source
from bncheck.measure.parts.model import RememberedModel
from bncheck.measure.parts.options import MeasuringOptions
from bncheck.measure.parts.seen import Seen
from bncheck.measure.processes.portions import Shard
from bncheck.results import RunCost
from bncheck.tensors import torch

_LOOKED_AT = 8
"""Samples by which two data sets are told apart."""


@dataclass(frozen=True, slots=True)
class DataIdentity:
    """What tells whether two parts are of the same data.

    Attributes:
        name: what the user calls them; it may be another on another machine.
        samples: how many there are; `None` for a stream.
        digest: SHA-256 over a few samples as the model is fed them, and their labels.
    """

    name: str
    samples: int | None
    digest: str

    @classmethod
    def of(cls, source: Source, seed: int) -> DataIdentity:
        """The identity of these data; of a loader its first batch is read for it."""
        every = max(1, (source.samples or 1) // _LOOKED_AT)
        if source.own_batches:
            batches = source.given_batches(1, seed=seed)
            read = [batch for batch in [next(batches, None)] if batch is not None]
        else:
            read = list(source.given_batches(1, seed=seed, every=every))
        digest = hashlib.sha256()
        for batch in read[:_LOOKED_AT]:
            _take_in(digest, batch)
        return cls(source.name, source.samples, digest.hexdigest())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Part:
    """What one process knows of a model on its shard of the data.

    Attributes:
        shard: which share of the data it read.
        model: that was run.
        data: that were read.
        options: that decide what is measured.
        typed: the options as they were set, for a report to print.
        seen: what was seen.
        cost: of it.
        versions: of what measured it.
    """

    shard: Shard
    model: RememberedModel
    data: DataIdentity
    options: MeasuringOptions
    typed: Mapping[str, Any]
    seen: Seen
    cost: RunCost
    versions: Mapping[str, str]

    @property
    def named(self) -> str:
        """Which of how many it is."""
        return f"{self.shard.index + 1}/{self.shard.count}"


def _take_in(digest: Any, batch: Batch) -> None:
    for tensor in batch.all_tensors:
        digest.update(f"{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
