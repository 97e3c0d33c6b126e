"""The statistics that recalibrating stores: the batch pass over the data, until their error is small enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from bncheck.core import FEWEST_GROUPS, FloatArray, NormLayer, compare
from bncheck.data import Source
from bncheck.errors import DataError
from bncheck.formats import Backend
from bncheck.measure import SMALL_BATCH, Folds, Plan, StoppingRule, settled_session
from bncheck.progress import Progress
from bncheck.repair.one_by_one import Readings, read_one_by_one
from bncheck.results import ErrorUnknown, MeasuredOneByOne, MoreSamplesNeeded, Note, SamplesWereEnough
from bncheck.vocabulary import Reason
from bncheck.watch import BATCH, Recorder, Session, Statistics

STATISTICS = ("running_mean", "running_var")

LayerStatistics = Mapping[str, Statistics]


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The statistics of the data, layer by layer, while every layer normalizes by its batch.

    Attributes:
        folds: of each cross-fitting fold of the data, by layer.
        whole: of all the data.
        layers: as they were called, by name.
        errors: standard error of each layer's mean, in standard deviations of the data; infinite where there
            were too few samples to say.
        kept: layers that store statistics and get none from here, by name: why.
        samples: samples that were read.
        until: the error at which reading was to stop.
        notes: how far the measurement got, for the reader.
    """

    folds: tuple[LayerStatistics, LayerStatistics]
    whole: LayerStatistics
    layers: Mapping[str, NormLayer]
    errors: Mapping[str, float]
    kept: Mapping[str, Reason]
    samples: int
    until: float
    notes: tuple[Note, ...]


def measure(model: Backend, source: Source, plan: Plan, until: float, progress: Progress) -> Measurement:
    """Measure the statistics of `source` in every layer of `model`.

    What is measured is the pooled population variance (divisor n: within plus between batches), where PyTorch's own
    moving average takes the unbiased variances of single batches, which lack what lies between the batches and are
    too small for small ones. InstanceNorm gets what it averages itself, each sample's own unbiased variance. A
    layer called several times gets the average over its calls. Dropout is off: the model is in eval mode. Where no
    batch can be normalized by itself, as in a program of one sample, layers are measured one after the other.

    Args:
        model: what is to be repaired; it is only run.
        source: what to measure.
        plan: how to read it.
        until: stop once the mean of every layer is known so well; 0 reads everything.
        progress: told how far it is.

    Numerics: float64 throughout, merged by Chan's formula.

    Raises:
        DataError: the data cannot be read, do not fit the model, or make a layer's input infinite or NaN.
    """
    with settled_session(model, source, plan) as watched:
        parts, rule = folds_of(model, source, plan, watched.fixed_batch, progress), StoppingRule.of(until, source)
        read = None if _is_small(watched.fixed_batch) else _by_batches(watched, parts, rule)
        if read is None or not read.samples:
            read = read_one_by_one(watched, parts, rule)
        unsupported = frozenset(watched.unsupported)
    folds, samples = read.folds, read.samples
    whole = Recorder.merged(folds)
    layers = {name: entries[0].layer for name, entries in whole.by_layer().items()}
    kept = _kept(model, tuple(layers), unsupported)
    statistics = {name: found for name, found in whole.statistics().items() if name not in kept}
    _require_finite(statistics, source.name)
    errors = {name: error for name, error in whole.standard_errors().items() if name in statistics}
    return Measurement(
        folds=(_only(folds[0], statistics), _only(folds[1], statistics)),
        whole=statistics,
        layers=layers,
        errors=errors,
        kept=kept,
        samples=samples,
        until=until,
        notes=(
            *_notes(errors, samples, until, read.stop.is_reached),
            *([MeasuredOneByOne(read.number)] if read.number > 1 else []),
        ),
    )


def _is_small(batch_size: int | None) -> bool:
    """Whether the only batch size that a program takes is too small to normalize by."""
    return batch_size is not None and batch_size < SMALL_BATCH


def _by_batches(watched: Session, parts: Folds, stop: StoppingRule) -> Readings:
    """Read the data once, every layer normalizing by its batch."""
    folds, samples = (Recorder(per_sample=False, errors=True), Recorder(per_sample=False, errors=True)), 0
    for pair in parts.large_enough("measuring statistics"):
        for fold, part in zip(folds, pair, strict=True):
            if part.size > 1:
                watched.run(part, BATCH, fold)
                samples += part.size
        stop = stop.after(samples, *folds)
        if stop.is_reached:
            break
    return Readings(folds, samples, stop, 1)


def folds_of(model: Backend, source: Source, plan: Plan, fixed: int | None, progress: Progress) -> Folds:
    """The data in the two folds that are measured, and that judge each other: the same ones in every pass."""
    if not model.pools_batches or not source.samples:
        return plan.folds(source, fixed, progress)
    # Whole batches are measured, so the error of the means comes from how those spread.
    samples = min(source.samples, plan.limit or source.samples)
    large = min(plan.large_batch, max(plan.batch_size, samples // (2 * FEWEST_GROUPS)))
    return replace(plan, large_batch=large).folds(source, fixed, progress)


def tensors_of(model: Backend, statistics: LayerStatistics) -> dict[str, torch.Tensor]:
    """The statistics as tensors by their names in the model; a layer that had none gets its counter too.

    Counters (`num_batches_tracked`) count training batches. No batch was trained on, so they stay as they are, and
    one that has to be added so that the file loads says what the architecture's says: 0.
    """
    own = model.tensors()
    declared = {layer.name: layer for layer in model.layers}
    tensors: dict[str, torch.Tensor] = {}
    for name, found in statistics.items():
        values: tuple[FloatArray, FloatArray] = (found.mean, found.var)
        for role, value in zip(STATISTICS, values, strict=True):
            tensors[join(name, role)] = torch.from_numpy(np.array(value))
        counter = own.get(join(name, "num_batches_tracked"))
        if declared[name].missing and counter is not None:
            tensors[join(name, "num_batches_tracked")] = counter.detach().cpu().clone()
    return tensors


def cross_gaps(measured: Measurement, given: tuple[LayerStatistics, LayerStatistics]) -> dict[str, float]:
    """By layer, the gap of each fold of the data from the statistics that judge it (RMS over channels and folds).

    Args:
        measured: the folds' own statistics.
        given: for each fold, what it would be normalized by; it must not come from that fold.
    """
    gaps: dict[str, float] = {}
    for name in measured.whole:
        squares = [
            float(np.mean(compare(own[name].mean, own[name].var, other[name].mean, other[name].var, eps).gap ** 2))
            for own, other in zip(measured.folds, given, strict=True)
            if name in own and name in other
            for eps in [measured.layers[name].eps or 0.0]
        ]
        if squares:
            gaps[name] = math.sqrt(sum(squares) / len(squares))
    return gaps


def join(layer: str, role: str) -> str:
    """The name of a tensor of a layer: `stem.bn.running_mean`."""
    return f"{layer}.{role}" if layer else role


def _only(fold: Recorder, wanted: LayerStatistics) -> LayerStatistics:
    return {name: found for name, found in fold.statistics().items() if name in wanted}


def _kept(model: Backend, reached: tuple[str, ...], unsupported: frozenset[str]) -> dict[str, Reason]:
    """Why layers keep what they have; nothing is said of those that never store statistics."""
    kept: dict[str, Reason] = {}
    for layer in model.layers:
        if not (layer.has_statistics or layer.missing):
            continue
        if layer.is_folded:
            kept[layer.name] = Reason.FOLDED
        elif layer.by_input:
            kept[layer.name] = Reason.BY_INPUT
        elif layer.name in unsupported or layer.name in model.unsupported:
            kept[layer.name] = Reason.UNSUPPORTED
        elif layer.name not in reached:
            kept[layer.name] = Reason.NOT_EXERCISED
    declared = {layer.name for layer in model.layers if layer.has_statistics or layer.missing}
    return kept | dict.fromkeys((name for name in reached if name not in declared), Reason.NO_PLACE)


def _require_finite(statistics: LayerStatistics, source: str) -> None:
    for name, found in statistics.items():
        if not (np.isfinite(found.mean).all() and np.isfinite(found.var).all()):
            raise DataError(
                f"{source}: on these data the input of {name} is not finite, so there is nothing to store. Look for "
                "NaN or infinity in the data and in the weights, and for overflow in half precision."
            )


def _notes(errors: Mapping[str, float], samples: int, until: float, stopped: bool) -> tuple[Note, ...]:
    worst = _largest(errors)
    if not errors or not until:
        return ()
    if stopped:
        return (SamplesWereEnough(samples, worst, until),)
    if not math.isfinite(worst):
        return (ErrorUnknown(samples),)
    needed = math.ceil(samples * (worst / until) ** 2)
    return (MoreSamplesNeeded(samples, worst, until, _rounded(needed)),)


def _rounded(number: int) -> int:
    """The number to two digits: it is an estimate."""
    return int(float(f"{number:.2g}"))


def _largest(errors: Mapping[str, float]) -> float:
    return max(errors.values(), default=math.inf)
