"""Accumulating the moments of every call, exactly for all samples and apart for a bounded number of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from bncheck.core import InstanceMoments, Moments, SampleMoments, rms
from bncheck.core.layers import INSTANCE_NORM, NormLayer
from bncheck.core.noise import FEWEST_GROUPS
from bncheck.watch.kernels import sample_moments
from bncheck.watch.policies import Statistics
from bncheck.watch.sites import Site

TABLE_BYTES = 256 * 1024 * 1024


class SiteRecord:
    """What one call site has seen so far."""

    def __init__(self, layer: NormLayer) -> None:
        self.layer = layer
        self.moments = Moments.empty(layer.channels)
        self.instances = InstanceMoments.empty(layer.channels)
        self.groups = Moments.empty(layer.channels)
        self.samples: list[SampleMoments] = []

    def absorb(self, other: SiteRecord) -> None:
        """Take in what another record of the same call has seen; samples apart are left where they are."""
        self.moments += other.moments
        self.instances += other.instances
        self.groups += other.groups

    def table(self) -> SampleMoments | None:
        """The samples kept apart, in the order they were seen."""
        return SampleMoments.concatenate(self.samples) if self.samples else None

    def statistics(self) -> Statistics:
        """Measured mean and variance: pooled (divisor n), or what InstanceNorm averages."""
        if self.layer.kind == INSTANCE_NORM:
            return Statistics(self.instances.mean, self.instances.variance)
        return Statistics(self.moments.mean, self.moments.variance)

    def standard_error(self) -> float:
        """How far the mean may be off, in standard deviations of the data (RMS over channels).

        From the spread of the samples' means (of the batches', where samples cannot be told apart), never of the
        positions', which are correlated; infinite below `FEWEST_GROUPS` of them.
        """
        if self.groups.count < FEWEST_GROUPS:
            return math.inf
        variance = self.statistics().var + (self.layer.eps or 0.0)
        square = self.groups.unbiased_variance / self.groups.count
        return rms(np.sqrt(np.divide(square, variance, out=np.zeros_like(square), where=variance > 0)))


class Recorder:
    """Moments of every call site, in the order the sites were first met.

    Args:
        apart: keep samples apart, up to `TABLE_BYTES` over all sites; all samples count towards the
            merged moments either way.
        errors: also take in how the samples' means spread, for `SiteRecord.standard_error`.
    """

    def __init__(self, *, apart: bool, errors: bool = False) -> None:
        self.sites: dict[Site, SiteRecord] = {}
        self._errors = errors
        self._free_bytes = TABLE_BYTES if apart else 0

    def record(self, site: Site, layer: NormLayer, x: torch.Tensor, samples: int) -> Moments:
        """Take in one call's input, (N, C, *spatial), and give its moments over the batch.

        Args:
            site: where it was seen.
            layer: the layer there.
            x: the input; N may be a multiple of `samples` (frames of a video), then rows are joined.
            samples: samples in the forward.
        """
        return self.take(site, layer, sample_moments(x), samples)

    def take(self, site: Site, layer: NormLayer, table: SampleMoments, samples: int) -> Moments:
        """The same from the moments of the input's rows, one by one."""
        entry = self._entry(site, layer)
        if layer.kind == INSTANCE_NORM:
            entry.instances += table.instances()  # every row is an instance, frames of one video too
        elif samples and len(table) > samples and len(table) % samples == 0:
            table = table.merge_rows(len(table) // samples)
        moments = table.pooled()
        self._keep(entry, table)
        if self._errors:
            entry.groups += Moments.of(table.mean)
        entry.moments += moments
        return moments

    def add(self, site: Site, layer: NormLayer, moments: Moments) -> Moments:
        """The same from the moments of the whole batch, where samples are not kept apart."""
        entry = self._entry(site, layer)
        entry.moments += moments
        if self._errors:
            entry.groups += Moments.of(moments.mean[None])
        return moments

    def _entry(self, site: Site, layer: NormLayer) -> SiteRecord:
        return self.sites.get(site) or self.sites.setdefault(site, SiteRecord(layer))

    def _keep(self, entry: SiteRecord, table: SampleMoments) -> None:
        if self._free_bytes > 0:
            entry.samples.append(table)
            self._free_bytes -= table.mean.nbytes + table.m2.nbytes

    def by_layer(self) -> dict[str, list[SiteRecord]]:
        """The records of each layer's calls, in the order of the calls."""
        layers: dict[str, list[SiteRecord]] = {}
        for site, entry in self.sites.items():
            layers.setdefault(site.layer, []).append(entry)
        return layers

    def statistics(self) -> dict[str, Statistics]:
        """What recalibrating would store: a layer's moving average takes its calls one by one."""
        return {name: _averaged(entries) for name, entries in self.by_layer().items()}

    def standard_errors(self) -> dict[str, float]:
        """Of each layer's mean, its calls' errors taken together: they come from the same samples."""
        return {
            name: sum(entry.standard_error() for entry in entries) / len(entries)
            for name, entries in self.by_layer().items()
        }

    @classmethod
    def merged(cls, recorders: Iterable[Recorder]) -> Recorder:
        """What several recorders saw of different samples, as one; samples are not kept apart."""
        whole = cls(apart=False)
        for recorder in recorders:
            for site, entry in recorder.sites.items():
                whole._entry(site, entry.layer).absorb(entry)
        return whole


def together(entries: Iterable[SiteRecord]) -> SiteRecord:
    """The calls of one layer as one: their moments merged, their samples side by side."""
    records = list(entries)
    if len(records) == 1:
        return records[0]
    joined = SiteRecord(records[0].layer)
    for entry in records:
        joined.absorb(entry)
    joined.samples = _joined_samples(records)
    return joined


def _averaged(entries: list[SiteRecord]) -> Statistics:
    """The calls' statistics averaged; pooled ones would add what lies between the calls, which no call ever sees."""
    found = [entry.statistics() for entry in entries]
    return Statistics(np.mean([one.mean for one in found], axis=0), np.mean([one.var for one in found], axis=0))


def _joined_samples(records: list[SiteRecord]) -> list[SampleMoments]:
    """One table whose samples pool what each sample showed at every call, where the calls saw the same samples."""
    tables = [table for entry in records if (table := entry.table()) is not None]
    if records[0].layer.kind == INSTANCE_NORM:
        return tables
    if len(tables) < len(records) or len({len(table) for table in tables}) > 1:
        return tables[:1]
    calls, samples = len(tables), len(tables[0])
    interleaved = SampleMoments.concatenate(tables)
    order = np.arange(calls * samples).reshape(calls, samples).T.ravel()
    return [interleaved.take(order).merge_rows(calls)]
