"""Reading a source in its own order and batches: the training sampling as it is, not as we would draw it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bncheck.core import INSTANCE_NORM, Exchangeability, NormLayer, SampleMoments, exchangeability
from bncheck.data import Batch, Source
from bncheck.progress import Progress, begin
from bncheck.settings import SampleMemory
from bncheck.tensors import torch
from bncheck.watch import STORED, CallMoments, Policy, Recorder, Rows, Site

NEIGHBOURS = 16
"""Neighbours compared where a source has an order but makes no batches."""
FEWEST = 16
"""Batches that are kept however much they take: fewer could not be told from random draws."""
CHANNELS_COMPARED = 16
"""Channels of a layer whose means are kept per sample: a sorted source shows in all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenBatch:
    """What one batch in the source's order showed at every call, as shipped.

    Attributes:
        number: its place in the order.
        size: samples in it.
        rows: by call site, the layer and the moments of the whole batch as one row.
        means: by call site, the samples' means of a few channels, shape (size, at most `CHANNELS_COMPARED`).
    """

    number: int
    size: int
    rows: dict[Site, tuple[NormLayer, SampleMoments]]
    means: dict[Site, npt.NDArray[np.float32]]

    @property
    def bytes(self) -> int:
        """What it takes to keep."""
        rows = sum(table.mean.nbytes + table.m2.nbytes for _, table in self.rows.values())
        return max(1, rows + sum(means.nbytes for means in self.means.values()))


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source's order is to be read.

    Attributes:
        most: batches kept; where it is not known how many will come, every second one is let go as often as needed.
        samples: read of a loader at the most, which need not end; of a file all can be reached at no cost.
        task: what progress calls it.
        room: bytes of what is kept of all batches; `FEWEST` of them are, whatever they take.
    """

    most: int
    samples: int
    task: str
    room: int = SampleMemory().moments


class Runs(Protocol):
    """What runs batches: a session, or what counts on top of one."""

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size that can be run; `None` where any can."""
        ...

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        """What the model returns for the batch; the recorder takes in what its layers are fed."""
        ...


def read_in_order(session: Runs, source: Source, how: Reading, progress: Progress) -> tuple[SeenBatch, ...]:
    """Run batches spread evenly over the source's own order; of a file, groups of `NEIGHBOURS` neighbours.

    Args:
        session: the model, watched.
        source: what to read.
        how: how much of it.
        progress: told how far it is.

    Raises:
        DataError: the source cannot be read, or does not fit the model.
    """
    begin(progress, how.task)
    kept: list[SeenBatch] = []
    every = 1
    done = 0
    for number, batch in enumerate(_spread(source, how)):
        if number % every:
            continue
        kept.append(_seen(session, batch, number))
        if len(kept) > min(how.most, max(FEWEST, how.room // kept[0].bytes)):
            every *= 2
            kept = [seen for seen in kept if seen.number % every == 0]
        done += batch.size
        del batch  # or it was held while the next one is read
        progress(how.task, done, None)
    return tuple(kept)


def records_of(seen: Sequence[SeenBatch]) -> dict[str, list[CallMoments]]:
    """The batches as records of each layer's calls, in which a batch stands where else a sample would."""
    records: dict[str, list[CallMoments]] = {}
    for site in dict.fromkeys(site for batch in seen for site in batch.rows):
        shown = [batch for batch in seen if site in batch.rows]
        record = CallMoments(shown[0].rows[site][0])
        table = SampleMoments.concatenate([batch.rows[site][1] for batch in shown])
        numbers = np.array([batch.number for batch in shown], dtype=np.int64)
        record.rows = [Rows(numbers.astype(np.uint64), numbers, table)]
        record.moments = table.pooled()
        record.instances = table.instances()
        records.setdefault(site.layer, []).append(record)
    return records


def compare_batches(seen: Sequence[SeenBatch], seed: int) -> Exchangeability | None:
    """Whether the batches could be random draws; those of the commonest size are compared."""
    if not seen:
        return None
    size = Counter(batch.size for batch in seen).most_common(1)[0][0]
    chosen = [batch for batch in seen if batch.size == size]
    sites = [site for site in chosen[0].means if all(site in batch.means for batch in chosen)]
    means = {_name(site): np.concatenate([batch.means[site] for batch in chosen]) for site in sites}
    return exchangeability(means, len(chosen), size, seed)


def _name(site: Site) -> str:
    return site.layer if site.call == 0 else f"{site.layer} (call {site.call + 1})"


def _spread(source: Source, how: Reading) -> Iterator[Batch]:
    if source.own_batches:
        yield from source.given_batches(NEIGHBOURS, limit=how.samples)
        return
    groups = -(-(source.samples or 0) // NEIGHBOURS)
    yield from source.given_batches(NEIGHBOURS, every=max(1, -(-groups // how.most)))


def _seen(session: Runs, batch: Batch, number: int) -> SeenBatch:
    recorder = Recorder(per_sample=True)
    for chunk in _runnable(batch, session.fixed_batch):
        session.run(chunk, STORED, recorder)
    tables = {site: (entry.layer, table) for site, entry in recorder.sites.items() if (table := entry.table())}
    rows, means = {}, {}
    for site, (layer, table) in tables.items():
        own = table.take(np.arange(min(len(table), len(table) * batch.size // max(_ran(batch, session), 1))))
        rows[site] = (layer, _one_row(layer, own))
        if len(own) == batch.size:
            means[site] = own.mean[:, _some_channels(own.channels)].astype(np.float32)
    return SeenBatch(number, batch.size, rows, means)


def _one_row(layer: NormLayer, table: SampleMoments) -> SampleMoments:
    """The whole batch as one row, such that rows pool (or average) to what the samples would."""
    if layer.kind == INSTANCE_NORM:
        instances = table.instances()
        count = float(table.count[0])
        return SampleMoments(np.array([count]), instances.mean[None], instances.variance[None] * max(count - 1, 1))
    moments = table.pooled()
    return SampleMoments(np.array([moments.count]), moments.mean[None], moments.m2[None])


def _some_channels(channels: int) -> npt.NDArray[np.intp]:
    return np.unique(np.linspace(0, channels - 1, min(channels, CHANNELS_COMPARED)).astype(np.intp))


def _ran(batch: Batch, session: Runs) -> int:
    """Samples that are run for the batch."""
    fixed = session.fixed_batch
    return batch.size if fixed is None else -(-batch.size // fixed) * fixed


def _runnable(batch: Batch, fixed: int | None) -> Iterator[Batch]:
    """The batch as the program takes it: a program of fixed batch size gets it filled up with its own samples."""
    if fixed is None:
        yield batch
        return
    chunks = -(-batch.size // fixed)
    order = torch.arange(chunks * fixed) % batch.size
    yield from batch.take(order).split(fixed)
