"""A recorder that also takes in moments of every slice of the data, in the same pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core import INSTANCE_NORM, FloatArray, Moments, NormLayer, SampleMoments, SliceMoments
from bncheck.tensors import torch
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site

Codes = npt.NDArray[np.int64]
_ROOM = 8
"""Slices that there is room for at first."""


class SlicedCall:
    """Moments of one call by slice; its rows grow as slices are met.

    Attributes:
        layer: the layer called.
        centre: about which squares are taken, (C,): what it stores, where that is finite.
    """

    def __init__(self, layer: NormLayer) -> None:
        self.layer = layer
        self.centre = centre_of(layer)
        self._rows = SliceMoments.empty(_ROOM, layer.channels)

    def add(self, table: SampleMoments, codes: Codes) -> None:
        """Take in samples, (n, C), each of the slice of its code."""
        self.put(*SliceMoments.of(table, codes, self.centre, instance=self.layer.kind == INSTANCE_NORM))

    def put(self, rows: Codes, moments: SliceMoments) -> None:
        """Take in the moments of these slices."""
        if len(rows) and (most := int(rows.max()) + 1) > len(self._rows):
            grown = SliceMoments.empty(max(most, 2 * len(self._rows)), self.layer.channels)
            grown.put(np.arange(len(self._rows)), self._rows)
            self._rows = grown
        self._rows.put(rows, self._rows.at(rows) + moments)

    def first(self, slices: int) -> SliceMoments:
        """The rows of the first slices, empty ones among them."""
        if slices > len(self._rows):
            self.put(np.array([slices - 1]), SliceMoments.empty(1, self.layer.channels))
        return self._rows.at(slice(0, slices))


@dataclass(frozen=True, slots=True, eq=False)
class RememberedSlicedCall:
    """Moments of one call by slice, as plain values.

    Attributes:
        name: of the layer.
        call: which of its calls in a forward, from 0.
        layer: the layer called.
        moments: a row for each slice.
    """

    name: str
    call: int
    layer: NormLayer
    moments: SliceMoments


class SlicedCalls:
    """Moments of every call by slice, in the order the calls were first met; two of them merge by the slices' names."""

    def __init__(self) -> None:
        self._calls: dict[Site, SlicedCall] = {}

    def add(self, site: Site, layer: NormLayer, table: SampleMoments, codes: Codes) -> None:
        """Take in samples of one call, each of the slice of its code."""
        if len(table) != len(codes):  # regions and tokens are shared out in order, as by `rows_of`
            codes = codes[np.arange(len(table)) * len(codes) // max(len(table), 1)]
        if len(table):
            self._call(site, layer).add(table, codes)

    def merge(self, other: SlicedCalls, names: Sequence[str], places: Mapping[str, int]) -> None:
        """Take in what another saw of other samples.

        Args:
            other: whose rows are of the slices `names`.
            names: of its slices.
            places: which rows these are here.
        """
        rows = np.array([places[name] for name in names], dtype=np.int64)
        for site, call in other._calls.items():
            self._call(site, call.layer).put(rows, call.first(len(names)))

    def by_layer(self, slices: int) -> Iterator[tuple[str, list[tuple[SlicedCall, SliceMoments]]]]:
        """The moments of each layer's calls, a row for each slice."""
        layers: dict[str, list[tuple[SlicedCall, SliceMoments]]] = {}
        for site, call in self._calls.items():
            layers.setdefault(site.layer, []).append((call, call.first(slices)))
        return iter(layers.items())

    def remembered(self, slices: int) -> tuple[RememberedSlicedCall, ...]:
        """What it holds, to be kept in a file."""
        return tuple(
            RememberedSlicedCall(site.layer, site.call, call.layer, call.first(slices))
            for site, call in self._calls.items()
        )

    @classmethod
    def of(cls, kept: Sequence[RememberedSlicedCall]) -> SlicedCalls:
        """What held that."""
        calls = cls()
        for one in kept:
            calls._call(Site(one.name, one.call), one.layer).put(np.arange(len(one.moments)), one.moments)
        return calls

    def _call(self, site: Site, layer: NormLayer) -> SlicedCall:
        return self._calls.get(site) or self._calls.setdefault(site, SlicedCall(layer))


class SlicingRecorder(Recorder):
    """A recorder that also adds up by slice; what it records besides is what any recorder does.

    Args:
        sliced: what adds up by slice.
        errors, seed, room, whole: see `Recorder`.
    """

    def __init__(self, sliced: SlicedCalls, *, errors: bool, seed: int, room: int, whole: int | None = None) -> None:
        super().__init__(per_sample=True, errors=errors, seed=seed, room=room, whole=whole)
        self._sliced = sliced
        self._codes: Codes | None = None

    def of_slices(self, codes: torch.Tensor | None) -> None:
        """Name the slices of the next forward's samples; without them nothing is added up by slice."""
        self._codes = None if codes is None else codes.numpy()

    def take(self, site: Site, layer: NormLayer, table: SampleMoments, samples: int) -> Moments:
        """See `Recorder.take`."""
        if self._codes is not None and samples == len(self._codes):
            several = len(table) > samples and len(table) % samples == 0 and layer.kind != INSTANCE_NORM
            rows = table.merge_rows(len(table) // samples) if several else table
            self._sliced.add(site, layer, rows, self._codes)
        return super().take(site, layer, table, samples)


def centre_of(layer: NormLayer) -> FloatArray:
    """About which squares of a layer's input are taken, (C,): what it stores, where that is finite, and 0."""
    if layer.mean is None:
        return np.zeros(layer.channels)
    return np.where(np.isfinite(layer.mean), layer.mean, 0.0)
