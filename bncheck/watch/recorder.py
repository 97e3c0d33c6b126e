"""Accumulating the moments of every call, exactly for all samples and per sample for a bounded number of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bncheck.core import INSTANCE_NORM, Moments, NormLayer, SampleMoments
from bncheck.settings import SampleMemory
from bncheck.tensors import torch
from bncheck.watch.call_moments import CallMoments, averaged
from bncheck.watch.elsewhere import MomentsElsewhere, on_host
from bncheck.watch.kernels import part_of_maps, positions_of, sample_moments
from bncheck.watch.keys import Keys, Numbers, sample_keys
from bncheck.watch.policies import Statistics
from bncheck.watch.remembered import RememberedCall, RememberedRecorder
from bncheck.watch.rows import Rows, limit_for, rows_of
from bncheck.watch.sites import Site

TABLE_BYTES = SampleMemory().moments
SLACK = 1.25
"""How far per-sample moments may outgrow their room before the excess is let go of: it takes a while each time."""
EVERY_KEY = 2**64


class Recorder:
    """Accumulates moments of every call, in the order the calls were first met; two of them `merge`.

    Args:
        per_sample: also keep moments per sample, as far as there is room: of the samples with the smallest keys, the
            same samples at every call. All samples count towards the pooled moments either way.
        errors: also take in how the samples' means spread, for `CallMoments.standard_error`.
        seed: of the draw of samples.
        room: bytes of per-sample moments over all calls; `TABLE_BYTES` unless given.
        whole: samples at the beginning of the reading of which every position is read; of large maps of those that
            follow `part_of_maps` is. Without it they are all read whole.

    Attributes:
        in_part: whether any map was read in part.
    """

    def __init__(
        self,
        *,
        per_sample: bool,
        errors: bool = False,
        seed: int = 0,
        room: int | None = None,
        whole: int | None = None,
    ) -> None:
        self.sites: dict[Site, CallMoments] = {}
        self.per_sample = per_sample
        self.errors = errors
        self.seed = seed
        self.room = TABLE_BYTES if room is None else room
        self.whole = whole
        self.in_part = False
        self._turn: int | None = None
        self._limit = EVERY_KEY
        self._bytes = 0
        self._next: tuple[Keys, Numbers] | None = None
        self._seen: dict[Site, int] = {}
        self._queued: list[tuple[Site, NormLayer, MomentsElsewhere, int]] = []

    def expect(self, positions: torch.Tensor | None, start: int) -> Recorder:
        """Name the samples of the next forward, which is the recorder's own business to know where it runs in parts.

        Args:
            positions: where they stand in the source, which draws them; without it by their number.
            start: number of the first in the reading, which orders them.

        Returns:
            The recorder itself.
        """
        in_part = self.whole is not None and start >= self.whole
        self._turn = int(sample_keys(self.seed, [start])[0]) if in_part else None
        if self.per_sample and positions is not None:
            numbers = np.arange(start, start + len(positions))
            self._next = sample_keys(self.seed, positions.numpy()), numbers
        return self

    def record(self, site: Site, layer: NormLayer, x: torch.Tensor, samples: int) -> Moments:
        """Take in one call's input, (N, C, *spatial), and give its moments over the batch.

        Args:
            site: where it was seen.
            layer: the layer there.
            x: the input; N may be a multiple of `samples` (frames of a video), then rows are joined.
            samples: samples in the forward.
        """
        return self.take(site, layer, self.moments_of(layer, x), samples)

    def moments_of(self, layer: NormLayer, x: torch.Tensor) -> SampleMoments:
        """Measure every sample and channel of a call's input, (N, C, *spatial), by a part of large maps where told.

        What a part shows counts as if all positions had: else the samples that are read whole would weigh more.
        """
        seen = self.seen_of(layer, x)
        table = sample_moments(seen)
        return table if seen is x else table.counting(positions_of(x))

    def seen_of(self, layer: NormLayer, x: torch.Tensor) -> torch.Tensor:
        """Give what is read of a call's input: all of it, or a part of large maps. InstanceNorm goes by whole ones."""
        if self._turn is None or layer.kind == INSTANCE_NORM:
            return x
        part = part_of_maps(x, self._turn)
        self.in_part |= part is not x
        return part

    def queue(self, site: Site, layer: NormLayer, seen: MomentsElsewhere, samples: int) -> None:
        """Take in the same once the forward has ended: it stays where the model runs until then."""
        self._entry(site, layer)  # in the order of the calls
        self._queued.append((site, layer, seen, samples))

    def arrive(self, *, ended: bool = True) -> None:
        """Take in what is queued, after a forward; nothing of one that has not `ended`."""
        queued, self._queued = self._queued, []
        if not queued or not ended:
            return
        tables = on_host([seen for _, _, seen, _ in queued])
        for (site, layer, _, samples), table in zip(queued, tables, strict=True):
            self.take(site, layer, table, samples)

    def take(self, site: Site, layer: NormLayer, table: SampleMoments, samples: int) -> Moments:
        """Take in the same as the moments of the input's rows, one by one."""
        entry = self._entry(site, layer)
        entry.fed(len(table), samples)
        if layer.kind == INSTANCE_NORM:
            entry.instances += table.instances()  # every row is an instance, frames of one video too
        elif samples and len(table) > samples and len(table) % samples == 0:
            table = table.merge_rows(len(table) // samples)
        moments = table.pooled()
        if self.per_sample and samples:
            self._keep(site, entry, table, samples)
        if self.errors:
            entry.groups += Moments.of(table.mean)
        entry.moments += moments
        return moments

    def add(self, site: Site, layer: NormLayer, moments: Moments) -> Moments:
        """Take in the same as the moments of the whole batch, where there are none per sample."""
        entry = self._entry(site, layer)
        entry.fed(0, 0)
        entry.moments += moments
        if self.errors:
            entry.groups += Moments.of(moments.mean[None])
        return moments

    def merge(self, other: Recorder) -> Recorder:
        """What both saw, of different samples of one reading; neither is changed."""
        return Recorder.merged([self, other])

    @classmethod
    def merged(cls, recorders: Iterable[Recorder]) -> Recorder:
        """What several recorders saw of different samples, as one."""
        parts = list(recorders)
        first = parts[0] if parts else cls(per_sample=False)
        whole = cls(
            per_sample=first.per_sample, errors=first.errors, seed=first.seed, room=first.room, whole=first.whole
        )
        for part in parts:
            for site, entry in part.sites.items():
                known = whole.sites.get(site)
                whole.sites[site] = CallMoments(entry.layer).merge(entry) if known is None else known.merge(entry)
                whole._seen[site] = whole._seen.get(site, 0) + part._seen.get(site, 0)
            whole._bytes += part._bytes
            whole._limit = min(whole._limit, part._limit)
            whole.in_part |= part.in_part
        return whole.settled()

    def settled(self, most: int | None = None) -> Recorder:
        """The recorder itself, after it has let go of per-sample moments for which `most` bytes are no room."""
        self._let_go(self.room if most is None else most)
        return self

    def remembered(self) -> RememberedRecorder:
        """What it holds, to be kept in a file; nothing of it is copied."""
        calls = tuple(
            RememberedCall(
                name=site.layer,
                call=site.call,
                layer=entry.layer,
                seen=self._seen.get(site, 0),
                moments=entry.moments,
                instances=entry.instances if entry.instances.count else None,
                groups=entry.groups if entry.groups.count else None,
                rows=Rows.joined(entry.rows) if entry.rows else None,
                alone=entry.alone or 0,
            )
            for site, entry in self.sites.items()
        )
        limit = "" if self._limit == EVERY_KEY else f"{self._limit:x}"
        return RememberedRecorder(self.per_sample, self.errors, self.seed, limit, calls, self.in_part)

    @classmethod
    def of(cls, kept: RememberedRecorder) -> Recorder:
        """The recorder that held that."""
        recorder = cls(per_sample=kept.per_sample, errors=kept.errors, seed=kept.seed)
        recorder.in_part = kept.in_part
        recorder._limit = int(kept.limit, 16) if kept.limit else EVERY_KEY
        for one in kept.calls:
            entry = recorder._entry(Site(one.name, one.call), one.layer)
            entry.moments = one.moments
            entry.instances = one.instances or entry.instances
            entry.groups = one.groups or entry.groups
            entry.rows = [] if one.rows is None else [one.rows]
            entry.alone = one.alone
            recorder._bytes += sum(int(rows.bytes.sum()) for rows in entry.rows)
            recorder._seen[Site(one.name, one.call)] = one.seen
        return recorder

    def by_layer(self) -> dict[str, list[CallMoments]]:
        """The records of each layer's calls, in the order of the calls."""
        layers: dict[str, list[CallMoments]] = {}
        for site, entry in self.sites.items():
            layers.setdefault(site.layer, []).append(entry)
        return layers

    def statistics(self) -> dict[str, Statistics]:
        """What recalibrating would store: a layer's moving average takes its calls one by one."""
        return {name: averaged(entries) for name, entries in self.by_layer().items()}

    def standard_errors(self) -> dict[str, float]:
        """Of each layer's mean, its calls' errors taken together: they come from the same samples."""
        return {
            name: sum(entry.standard_error() for entry in entries) / len(entries)
            for name, entries in self.by_layer().items()
        }

    def _entry(self, site: Site, layer: NormLayer) -> CallMoments:
        return self.sites.get(site) or self.sites.setdefault(site, CallMoments(layer))

    def _keep(self, site: Site, entry: CallMoments, table: SampleMoments, samples: int) -> None:
        keys, numbers = self._samples(site, samples)
        if len(table) == 1 < samples and site.call < samples:  # the samples are run one at a time
            keys, numbers = keys[site.call : site.call + 1], numbers[site.call : site.call + 1]
        rows = rows_of(table, keys, numbers).below(self._limit)
        if len(rows):
            entry.rows.append(rows)
            self._bytes += int(rows.bytes.sum())
            if self._bytes > SLACK * self.room:
                self._let_go(self.room)

    def _samples(self, site: Site, samples: int) -> tuple[Keys, Numbers]:
        """Who they are: as was told, or as they are counted."""
        seen = self._seen.get(site, 0)
        self._seen[site] = seen + samples
        if self._next is not None and len(self._next[0]) == samples:
            return self._next
        numbers = np.arange(seen, seen + samples)
        return sample_keys(self.seed, numbers), numbers

    def _let_go(self, most: int) -> None:
        """Keep the samples with the smallest keys whose moments, over all calls, take `most` bytes."""
        kept = [rows for entry in self.sites.values() for rows in entry.rows]
        if not kept:
            return
        if self._bytes > most:
            self._limit = min(self._limit, limit_for(kept, most))
        self._bytes = 0
        for entry in self.sites.values():
            entry.rows = [rows for one in entry.rows if len(rows := one.below(self._limit))]
            self._bytes += sum(int(rows.bytes.sum()) for rows in entry.rows)
