"""Probes: a few samples are run again, changed or in other company, to name a cause that gaps alone cannot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from bncheck.core.thresholds import NEAR_MARGIN
from bncheck.data.batches import Batch, Source
from bncheck.errors import DataError
from bncheck.evidence.inputs import SHARE
from bncheck.evidence.probed import AffineMap, ChannelOrder, Composition, InputScaling, Invariance, Probed
from bncheck.formats.programs.instrument import Instrument
from bncheck.measure.reservoir import Kept
from bncheck.probes.answers import Reader
from bncheck.probes.bench import Bench, paired, recorded_gap
from bncheck.probes.composition import probe_composition, probe_loader
from bncheck.probes.eps import probe_eps
from bncheck.probes.input.inputs import floating_input, mapped, reordered
from bncheck.probes.input.order import probe_order
from bncheck.probes.input.scaling import probe_scaling
from bncheck.probes.invariance import probe_invariance
from bncheck.watch.recorder import Recorder

Found = TypeVar("Found")

LEAST_SAMPLES = 32
"""Fewer say too little of the input to choose among many maps and orders."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the passes know that probes go by.

    Attributes:
        kept: samples of the stored pass.
        stored: moments of every call in that pass.
        accuracy: over all data, by the stored or by recalibrated statistics, the better one; `None` without labels.
        top1: accuracy is the share of right predictions, not a metric of the user's own.
        precision: spacing of the numbers around 1 in the coarsest type; `None` for quantized models.
        output: which output is the prediction (`--output`).
        normalization: what the user had done to the data by --mean and --std.
        batch_size: samples in a forward.
        seed: of every draw.
        training: labelled training data, whose own order is tried too.
    """

    kept: Kept
    stored: Recorder
    accuracy: float | None
    top1: bool
    precision: float | None
    output: str | None
    normalization: AffineMap | None
    batch_size: int
    seed: int
    training: Source | None = None


def run_probes(watched: Instrument, seen: Seen) -> Probed:
    """What every probe that could be run has found."""
    bench = Bench(watched, Reader(seen.output, labelled=seen.top1), seen.batch_size)
    kept = seen.kept.samples()
    samples = None if kept is None else bench.whole(kept)
    if samples is None or not samples.size:
        return Probed()
    scaling, order = _quietly(lambda: _input_probes(bench, samples, seen)) or (None, None)
    return Probed(
        scaling=scaling,
        order=order,
        composition=_quietly(lambda: _composition(bench, seen)),
        eps=_quietly(lambda: probe_eps(bench, samples, seen.stored)),
        invariance=_quietly(lambda: _invariance(bench, samples, seen)),
    )


def _quietly(probe: Callable[[], Found | None]) -> Found | None:
    """A model may refuse batches of a probe's size: then there is nothing to say."""
    try:
        return probe()
    except DataError:
        return None


def _input_probes(bench: Bench, samples: Batch, seen: Seen) -> tuple[InputScaling | None, ChannelOrder | None]:
    stored, normalization = seen.stored, seen.normalization
    if not stored.sites or samples.size < LEAST_SAMPLES or floating_input(samples) is None:
        return None, None
    layers = bench.fed_by_input(samples)
    is_off = bool(layers) and recorded_gap(stored, layers) > NEAR_MARGIN
    if not is_off:
        return None, probe_order(bench, samples, layers, None, normalization) if layers else None
    before = bench.stored(samples)
    scaling = probe_scaling(bench, samples, layers, before, normalization)
    if scaling is None or scaling.seen.after.gap > SHARE * scaling.seen.before.gap:
        return scaling, probe_order(bench, samples, layers, before, normalization)
    with_map = bench.stored(mapped(samples, scaling.map))
    order = probe_order(bench, samples, layers, with_map, None, by=scaling.map)
    if scaling.explains:
        return scaling, order
    if order is None or not order.explains:
        return scaling, probe_order(bench, samples, layers, before, normalization)
    # Neither alone would do: the map is sought again with the channels in order, as the order was with a map.
    ordered = reordered(samples, order.order)
    scaling = probe_scaling(bench, ordered, layers, bench.stored(ordered), normalization) or scaling
    both = paired(layers, samples.size, before, bench.stored(mapped(ordered, scaling.map)))
    return (scaling if both is None else replace(scaling, seen=both)), order


def _composition(bench: Bench, seen: Seen) -> Composition | None:
    if not seen.top1:
        return None
    found = None
    if seen.accuracy is not None and not math.isnan(seen.accuracy):
        found = probe_composition(bench, seen.kept.groups(), seen.accuracy)
    if found is None and seen.training is not None:
        found = probe_loader(bench, seen.training, seen.batch_size)
    return found


def _invariance(bench: Bench, samples: Batch, seen: Seen) -> Invariance | None:
    return None if seen.precision is None else probe_invariance(bench, samples, seen.precision, seen.seed)
