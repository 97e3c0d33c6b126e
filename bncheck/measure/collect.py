"""From what the passes saw to the evidence that the rules judge by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bncheck.core import (
    BATCH_NORM,
    FEWEST_GROUPS,
    MARGIN,
    THRESHOLDS,
    BatchSizeRow,
    MovingAverage,
    NormLayer,
    SampleMoments,
    StoredChannels,
    batch_size_rows,
    identities,
    may_be_folded,
    samples_needed,
    smallest_detectable_gap,
)
from bncheck.evidence import EffectEvidence, Evidence, MeasuredLayer, TrainingEvidence
from bncheck.measure.layers import measured_layer, moving_average, stored_statistics
from bncheck.measure.notes import depends_on_composition, notes_on, notes_on_file
from bncheck.measure.observation import Observation
from bncheck.measure.parts.model import KnownModel, zeroed_in
from bncheck.measure.plan import Plan
from bncheck.measure.slices.judged import sliced_evidence
from bncheck.results import Accuracy, DataFacts, NotRun
from bncheck.vocabulary import Reason
from bncheck.watch import CallMoments, Statistics, together


@np.errstate(all="ignore")  # values out of a file may be of any size
def static_evidence(model: KnownModel, max_gap: float | None = None, *, not_run: str | None = None) -> Evidence:
    """What the file alone shows: no data, or (`not_run` says why) data that nothing can be run on."""
    reasons = {layer.name: _static_reason(layer, model) for layer in model.layers if _tells_nothing(layer)}
    return replace(
        _file_evidence(model),
        skipped=reasons | dict.fromkeys(identities(model.layers).untold, Reason.UNTOLD),
        max_gap=max_gap,
        not_run=not_run is not None,
        notes=(*notes_on_file(model), *([] if not_run is None else [NotRun(not_run)])),
    )


def _file_evidence(model: KnownModel) -> Evidence:
    """What is known whether or not it was run."""
    return Evidence(
        layers=model.layers,
        model_path=model.path,
        advice=model.advice,
        has_convolutions=model.has_convolutions,
        averaged=model.averaged,
        siblings=model.siblings,
        optimizer_steps=model.optimizer_steps,
        in_training=model.in_training,
        comparison=model.comparison,
    )


@np.errstate(all="ignore")  # values out of a file may be of any size
def measured_evidence(
    model: KnownModel,
    seen: Observation,
    plan: Plan,
    *,
    source_name: str,
    sizes: Sequence[int],
    max_gap: float | None = None,
    training: TrainingEvidence | None = None,
) -> Evidence:
    """The file and what the passes over the data saw of it; `completed` adds what depends on the probes.

    Args:
        model: that was run.
        seen: what the passes saw.
        plan: how they read the data.
        source_name: what the user calls these.
        sizes: batch sizes of the what-ifs.
        max_gap: the limit the user set.
        training: what the training sampling shows.
    """
    batch_size: float | None = training.batch_size if training is not None and training.own_batches else None
    if model.stored_samples is not None:  # no moving average, but as good as one over so many samples
        batch_size = model.stored_samples / MovingAverage(batch_size=1).effective_samples
    own = None if seen.folds is None else _own_statistics(seen)
    records = seen.stored.by_layer()
    hidden = model.hidden_channels()
    measured = {
        name: measured_layer(entries, own, seen.samples, hidden.get(name), batch_size)
        for name, entries in records.items()
    }
    layers = _in_running_order(model, measured, seen.session.found)
    smallest, needed = detectable(measured, seen.samples)
    if smallest == math.inf:  # also of any number of samples that are all alike: no gap of theirs is sure
        measured = {name: replace(layer, lower=0.0, p_value=1.0) for name, layer in measured.items()}
    is_off = any(layer.gap > THRESHOLDS.near_margin for layer in measured.values())
    return replace(
        _file_evidence(model),
        layers=layers,
        measured=measured,
        skipped={layer.name: _reason(layer, seen, model) for layer in layers if layer.name not in measured},
        data=DataFacts(source_name, seen.samples, seen.session.fixed_batch or plan.batch_size, seen.labelled),
        dropped=seen.dropped + seen.bad,
        effect=_effect(seen) if measured else None,
        outputs_not_finite=seen.not_finite,
        runtime=seen.session.runtime,
        batch_sizes=_batch_sizes(records, sizes, plan.seed),
        slices=sliced_evidence(seen.slices, measured, batch_size, compares=_are_finite(seen)),
        smallest_detectable_gap=smallest,
        samples_needed=needed,
        max_gap=max_gap,
        training=training,
        zeroed=zeroed_in(model) if is_off else None,
    )


def completed(model: KnownModel, seen: Observation, evidence: Evidence) -> Evidence:
    """The evidence after the probes: with notes on how it was measured, and without what their answers forbid."""
    depends = depends_on_composition(evidence)
    return replace(
        evidence,
        batch_sizes=() if depends else evidence.batch_sizes,
        notes=(*notes_on_file(model), *notes_on(seen, evidence)),
    )


def _effect(seen: Observation) -> EffectEvidence | None:
    """What other statistics do to the outputs; nothing of statistics that are no numbers."""
    effect = seen.effect.result()
    if effect is None or _are_finite(seen):
        return effect
    return replace(
        effect,
        predictions_changed=None,
        changed_by_noise=None,
        accuracy=None if effect.accuracy is None else Accuracy(effect.accuracy.stored, None, None),
        task=None,
        heads=(),
    )


def _are_finite(seen: Observation) -> bool:
    """Whether recalibrated statistics are numbers."""
    given = [found for fold in seen.folds or () for found in fold.statistics().values()]
    return all(np.isfinite([found.mean, found.var]).all() for found in given)


def detectable(measured: Mapping[str, MeasuredLayer], samples: int) -> tuple[float | None, int | None]:
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
    if known[noisiest] < THRESHOLDS.alike:
        return math.inf, None
    smallest = smallest_detectable_gap(known[noisiest], samples) if samples >= FEWEST_GROUPS else math.inf
    stored = moving_average(measured[noisiest].layer).effective_samples
    return smallest, samples_needed(known[noisiest], samples, stored, MARGIN)


def _typical_noise(layer: MeasuredLayer) -> float:
    """The median channel's noise, in standard deviations of the data.

    Channels whose stored values are no statistics tell none; what the samples can show in the others they still can.
    """
    noise, scale = layer.noise, layer.inherited.scale
    with np.errstate(invalid="ignore"):  # values near the largest float have neither
        spread = np.divide(noise, scale, out=noise.copy(), where=scale > 0)
    told = spread[layer.visible & ~np.isnan(spread)]
    return float(np.median(told)) if told.size else math.nan


def _own_statistics(seen: Observation) -> dict[str, Statistics]:
    """Statistics under the batch pass, both folds and all calls together."""
    first, second = (fold.by_layer() for fold in seen.folds or ())
    return {name: together([*first[name], *second.get(name, [])]).statistics() for name in first}


def _in_running_order(
    model: KnownModel, measured: Mapping[str, MeasuredLayer], found: Mapping[str, NormLayer]
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


def _reason(layer: NormLayer, seen: Observation, model: KnownModel) -> Reason:
    if layer.name in seen.session.unsupported:
        return Reason.UNSUPPORTED
    if layer.is_folded or _unfound(layer, model):
        return Reason.FOLDED
    return Reason.NOT_EXERCISED if not _never_stores(layer) else Reason.NO_STATISTICS


def _tells_nothing(layer: NormLayer) -> bool:
    """Whether no statistics of the layer's can be judged: it stores none, or they were folded away."""
    return _never_stores(layer) or (not layer.missing and may_be_folded(layer))


def _static_reason(layer: NormLayer, model: KnownModel) -> Reason:
    if not _never_stores(layer) or _unfound(layer, model):
        return Reason.FOLDED
    return Reason.UNSUPPORTED if layer.name in model.unsupported else Reason.NO_STATISTICS


def _unfound(layer: NormLayer, model: KnownModel) -> bool:
    """Whether only the reference has it."""
    return model.comparison is not None and layer.name in model.comparison.unfound


def _never_stores(layer: NormLayer) -> bool:
    return not layer.has_statistics and not layer.missing


def _batch_sizes(records: Mapping[str, list[CallMoments]], sizes: Sequence[int], seed: int) -> tuple[BatchSizeRow, ...]:
    """The what-ifs over layers whose training statistics depend on the batch."""
    layers = []
    for entries in records.values():
        whole = together(entries)
        table = whole.table()
        if table is not None and whole.layer.kind == BATCH_NORM and _comparable(whole, table):
            layers.append(StoredChannels(table, *stored_statistics(whole.layer)))
    return batch_size_rows(layers, sizes, seed)


def _comparable(entry: CallMoments, table: SampleMoments) -> bool:
    """Whether all values are finite and every stored variance can be divided by."""
    mean, var, eps = stored_statistics(entry.layer)
    return bool(np.isfinite(mean).all() and (var + eps > 0).all() and np.isfinite(table.mean).all())
