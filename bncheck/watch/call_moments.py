"""What one call of a normalization layer has been fed."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from bncheck.core import FEWEST_GROUPS, INSTANCE_NORM, InstanceMoments, Moments, NormLayer, SampleMoments, rms
from bncheck.watch.policies import Statistics
from bncheck.watch.rows import Rows


class CallMoments:
    """Moments of what one call has been fed so far, of all samples together and of some of them one by one.

    Attributes:
        layer: the layer called.
        moments: of all values.
        instances: what InstanceNorm averages.
        groups: of the samples' means (of the batches', where samples cannot be told apart).
        rows: per-sample moments, as many as there was room for.
        alone: how many samples the largest forward had in which it was fed one row; 0 where it was ever fed others. A
            model that runs its samples one at a time calls its layers once for each.
    """

    def __init__(self, layer: NormLayer) -> None:
        self.layer = layer
        self.moments = Moments.empty(layer.channels)
        self.instances = InstanceMoments.empty(layer.channels)
        self.groups = Moments.empty(layer.channels)
        self.rows: list[Rows] = []
        self.alone: int | None = None

    def fed(self, rows: int, samples: int) -> None:
        """Take in that the call was fed so many rows in a forward of so many samples."""
        self.alone = max(self.alone or 0, samples) if rows == 1 and self.alone != 0 else 0

    def merge(self, other: CallMoments) -> CallMoments:
        """What both have been fed, of different samples."""
        merged = pooled([self, other])
        merged.rows = [*self.rows, *other.rows]
        known = [one.alone for one in (self, other) if one.alone is not None]
        merged.alone = (max(known) if all(known) else 0) if known else None
        return merged

    def table(self) -> SampleMoments | None:
        """Per-sample moments, in the order of the reading; `None` where none were kept."""
        return Rows.joined(self.rows).ordered().table if self.rows else None

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


def pooled(calls: Iterable[CallMoments]) -> CallMoments:
    """The moments of all `calls` of one layer, without per-sample ones."""
    entries = list(calls)
    whole = CallMoments(entries[0].layer)
    for entry in entries:
        whole.moments += entry.moments
        whole.instances += entry.instances
        whole.groups += entry.groups
    return whole


def together(calls: Iterable[CallMoments]) -> CallMoments:
    """The calls of one layer in a forward as one: their moments pooled, their samples side by side."""
    entries = list(calls)
    if len(entries) == 1:
        return entries[0]
    joined = pooled(entries)
    joined.rows = _side_by_side(entries)
    return joined


def averaged(calls: Iterable[CallMoments]) -> Statistics:
    """The calls' statistics averaged; pooled ones would add what lies between the calls, which no call ever sees."""
    found = [entry.statistics() for entry in calls]
    return Statistics(np.mean([one.mean for one in found], axis=0), np.mean([one.var for one in found], axis=0))


def _side_by_side(calls: list[CallMoments]) -> list[Rows]:
    """Rows whose samples pool what each sample showed at every call, where the calls saw the same samples.

    Calls that saw one sample each are as many samples.
    """
    if all(entry.alone == len(calls) for entry in calls):
        return [rows for entry in calls for rows in entry.rows]
    kept = [Rows.joined(entry.rows).ordered() for entry in calls if entry.rows]
    if calls[0].layer.kind == INSTANCE_NORM:
        return kept
    if len(kept) < len(calls) or len({len(rows) for rows in kept}) > 1:
        return kept[:1]
    number, samples = len(kept), len(kept[0])
    order = np.arange(number * samples).reshape(number, samples).T.ravel()
    table = SampleMoments.concatenate([rows.table for rows in kept]).take(order).merge_rows(number)
    return [Rows(kept[0].keys, kept[0].numbers, table)]
