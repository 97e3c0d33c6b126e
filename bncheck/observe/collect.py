"""From what the passes saw to the evidence that the rules judge by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.layers import BATCH_NORM, INSTANCE_NORM, FloatArray, NormLayer
from bncheck.models.base import Model
from bncheck.observe.passes import Observation, Plan
from bncheck.observe.policies import Statistics
from bncheck.observe.recorder import SiteRecord, together
from bncheck.report import DataFacts
from bncheck.statistics import (
    ASSUMED_MOMENTUM,
    BatchSizeRow,
    MovingAverage,
    SampleMoments,
    StoredChannels,
    batch_size_rows,
    compare,
    gap_lower_bound,
    noise_floor,
    rms,
    samples_needed,
    smallest_detectable_gap,
)
from bncheck.statistics.noise import FEWEST_GROUPS
from bncheck.thresholds import MARGIN

NO_STATISTICS = "no-running-statistics"
NOT_EXERCISED = "not-exercised"
FOLDED = "folded"
UNSUPPORTED = "unsupported"

LARGEST_MOMENTUM = 0.5
"""Above it the newest batch outweighs all others, which nobody means."""
ROUNDED = 0.99
"""Room for a variance that was stored in half precision."""


def static_evidence(model: Model, max_gap: float | None = None, *, not_run: str | None = None) -> Evidence:
    """What the file alone shows: no data, or (`not_run` says why) data that nothing can be run on."""
    return Evidence(
        layers=model.layers,
        skipped={layer.name: _static_reason(layer, model) for layer in model.layers if _never_stores(layer)},
        model_path=model.path,
        model_format=model.format,
        runnable=model.runnable,
        has_convolutions=model.has_convolutions,
        max_gap=max_gap,
        comparison=model.comparison,
        not_run=not_run is not None,
        notes=model.notes if not_run is None else (*model.notes, not_run),
    )


def measured_evidence(
    model: Model,
    seen: Observation,
    plan: Plan,
    *,
    source_name: str,
    sizes: Sequence[int],
    max_gap: float | None = None,
) -> Evidence:
    """The file and what the passes over the data saw of it."""
    own = None if seen.folds is None else _own_statistics(seen)
    records = seen.stored.by_layer()
    hidden = {fold.layer.name: ~fold.visible for fold in model.folds.values() if not fold.visible.all()}
    measured = {name: _measured(entries, own, seen.samples, hidden.get(name)) for name, entries in records.items()}
    layers = _in_running_order(model, measured, seen.found)
    smallest, needed = _detectable(measured, seen.samples)
    return Evidence(
        layers=layers,
        measured=measured,
        skipped={layer.name: _reason(layer, seen, model) for layer in layers if layer.name not in measured},
        model_path=model.path,
        model_format=model.format,
        runnable=True,
        has_convolutions=model.has_convolutions,
        data=DataFacts(source_name, seen.samples, seen.fixed_batch or plan.batch_size, seen.labelled),
        dropped=seen.dropped,
        effect=seen.effect.result() if measured else None,
        batch_sizes=() if _depends_on_mates(seen) else _batch_sizes(records, sizes, plan.seed),
        smallest_detectable_gap=smallest,
        samples_needed=needed,
        max_gap=max_gap,
        comparison=model.comparison,
        probed=seen.probed,
        notes=(*model.notes, *seen.notes, *_dropped(seen), *_without_batch_sizes(seen)),
    )


def _detectable(measured: Mapping[str, MeasuredLayer], samples: int) -> tuple[float | None, int | None]:
    """Smallest gap that would show in every layer, and the samples that bring it down to the margin.

    The noisiest layer decides, each by its median channel: a few channels that hardly ever fire would
    otherwise leave every model inconclusive. Noise counts against the spread of the data, not the stored
    one: what so many samples can tell does not depend on how wrong the stored statistics are. Where there are
    too few for a lower bound, no gap shows.
    """
    typical = {name: _typical_noise(layer) for name, layer in measured.items()}
    known = {name: noise for name, noise in typical.items() if not math.isnan(noise)}
    if not known:
        return None, None
    noisiest = max(known, key=known.__getitem__)
    smallest = smallest_detectable_gap(known[noisiest], samples) if samples >= FEWEST_GROUPS else math.inf
    stored = _average(measured[noisiest].layer).effective_samples
    return smallest, samples_needed(known[noisiest], samples, stored, MARGIN)


def _typical_noise(layer: MeasuredLayer) -> float:
    """The median channel's noise, in standard deviations of the data."""
    noise, scale = layer.noise, layer.inherited.scale
    spread = np.divide(noise, scale, out=noise.copy(), where=scale > 0)
    return float(np.median(spread[layer.visible]))


def _measured(
    entries: list[SiteRecord],
    own: Mapping[str, Statistics] | None,
    total: int,
    hidden: npt.NDArray[np.bool_] | None = None,
) -> MeasuredLayer:
    whole = together(entries)
    layer = whole.layer
    mean, var, eps = _stored(layer)
    found = whole.statistics()
    table = _table(whole)
    instance = layer.kind == INSTANCE_NORM
    average = _average(layer)
    noise = noise_floor(table, var, eps, average, total=total, instance=instance)
    visible = slice(None) if hidden is None else ~hidden
    apart = SampleMoments(table.count, table.mean[:, visible], table.m2[:, visible])
    # The bound is that of the samples kept apart, which may be fewer than were measured.
    noise_apart = rms(noise_floor(apart, var[visible], eps, average, instance=instance))
    batch = own.get(layer.name) if own is not None else None
    return MeasuredLayer(
        layer=layer,
        calls=len(entries),
        call_gaps=tuple(_call_gap(entry, visible) for entry in entries) if len(entries) > 1 else None,
        mean=found.mean,
        var=found.var,
        inherited=compare(found.mean, found.var, mean, var, eps),
        own=None if batch is None else compare(batch.mean, batch.var, mean, var, eps),
        noise=noise,
        lower=gap_lower_bound(apart, mean[visible], var[visible], eps, noise_apart, average=average, instance=instance),
        hidden=hidden,
    )


def _stored(layer: NormLayer) -> tuple[FloatArray, FloatArray, float]:
    if layer.mean is None or layer.var is None:
        raise ValueError(f"{layer.name} has no stored statistics")
    return layer.mean, layer.var, layer.eps or 0.0


def _table(entry: SiteRecord) -> SampleMoments:
    """The samples apart; none where the table was full before this layer's turn."""
    table = entry.table()
    if table is not None:
        return table
    none = np.zeros((0, entry.layer.channels))
    return SampleMoments(np.zeros(0), none, none)


def _average(layer: NormLayer) -> MovingAverage:
    """The layer's own moving average, as far as what the file says of it can be believed.

    A momentum of 0 keeps nothing, one of 0.9 is mostly the other convention's 0.1, and a counter that says
    the initial variance is still there, where it is not, was reset over statistics that had been learned.
    """
    momentum = layer.momentum if layer.momentum and layer.momentum <= LARGEST_MOMENTUM else ASSUMED_MOMENTUM
    initial = (1 - momentum) ** (layer.updates or 0)
    was_reset = layer.var is not None and bool(np.any(layer.var < ROUNDED * initial))
    return MovingAverage(momentum, None if was_reset else layer.updates)


def _call_gap(entry: SiteRecord, visible: slice | npt.NDArray[np.bool_]) -> float:
    mean, var, eps = _stored(entry.layer)
    found = entry.statistics()
    return rms(compare(found.mean, found.var, mean, var, eps).gap[visible])


def _own_statistics(seen: Observation) -> dict[str, Statistics]:
    """Statistics under the batch pass, both folds and all calls together."""
    first, second = (fold.by_layer() for fold in seen.folds or ())
    return {name: together([*first[name], *second.get(name, [])]).statistics() for name in first}


def _in_running_order(
    model: Model, measured: Mapping[str, MeasuredLayer], found: Mapping[str, NormLayer]
) -> tuple[NormLayer, ...]:
    """Measured layers as they ran, the others where the file declares them: after their predecessor."""
    order = list(measured)
    position = 0
    for layer in model.layers:
        if layer.name in measured:
            position = order.index(layer.name) + 1
        else:
            order.insert(position, layer.name)
            position += 1
    order += [name for name in found if name not in order]
    declared = {layer.name: layer for layer in model.layers}
    ran = {name: entry.layer for name, entry in measured.items()}
    known = {**found, **declared, **ran}
    return tuple(known[name] for name in order)


def _reason(layer: NormLayer, seen: Observation, model: Model) -> str:
    if layer.name in seen.unsupported:
        return UNSUPPORTED
    if layer.is_folded or _unfound(layer, model):
        return FOLDED
    return NOT_EXERCISED if not _never_stores(layer) else NO_STATISTICS


def _static_reason(layer: NormLayer, model: Model) -> str:
    if _unfound(layer, model):
        return FOLDED
    return UNSUPPORTED if layer.name in model.unsupported else NO_STATISTICS


def _unfound(layer: NormLayer, model: Model) -> bool:
    """Whether only the reference has it."""
    return model.comparison is not None and layer.name in model.comparison.unfound


def _never_stores(layer: NormLayer) -> bool:
    return not layer.has_statistics and not layer.missing


def _batch_sizes(records: Mapping[str, list[SiteRecord]], sizes: Sequence[int], seed: int) -> tuple[BatchSizeRow, ...]:
    """The what-ifs over layers whose training statistics depend on the batch."""
    layers = []
    for entries in records.values():
        whole = together(entries)
        table = whole.table()
        if table is not None and whole.layer.kind == BATCH_NORM and _comparable(whole, table):
            layers.append(StoredChannels(table, *_stored(whole.layer)))
    return batch_size_rows(layers, sizes, seed)


def _comparable(entry: SiteRecord, table: SampleMoments) -> bool:
    """Whether all values are finite and every stored variance can be divided by."""
    mean, var, eps = _stored(entry.layer)
    return bool(np.isfinite(mean).all() and (var + eps > 0).all() and np.isfinite(table.mean).all())


def _dropped(seen: Observation) -> list[str]:
    if not seen.dropped:
        return []
    return [f"{seen.dropped} samples left out: the program takes batches of exactly {seen.fixed_batch}"]


def _depends_on_mates(seen: Observation) -> bool:
    return seen.probed.invariance is not None and seen.probed.invariance.depends


def _without_batch_sizes(seen: Observation) -> list[str]:
    if not _depends_on_mates(seen):
        return []
    return ["no table of batch sizes: what a sample shows depends on its batch mates, so samples cannot be regrouped"]
