"""From what was recorded of a layer's calls to the layer as measured: its gaps, its noise, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from bncheck.core import (
    ASSUMED_MOMENTUM,
    ASSUMED_TRAINING_BATCH,
    INSTANCE_NORM,
    THRESHOLDS,
    FloatArray,
    MovingAverage,
    NormLayer,
    SampleMoments,
    compare,
    gap_lower_bound,
    gap_p_value,
    noise_floor,
    rms,
)
from bncheck.evidence import MeasuredLayer, ZeroedWeights
from bncheck.formats import plain
from bncheck.tensors import torch
from bncheck.watch import CallMoments, Statistics, together


def measured_layer(
    entries: list[CallMoments],
    own: Mapping[str, Statistics] | None,
    total: int,
    hidden: npt.NDArray[np.bool_] | None = None,
    batch_size: float | None = None,
) -> MeasuredLayer:
    """The layer of these calls, compared with what it stores.

    Args:
        entries: what was recorded of each call as shipped.
        own: statistics under batch statistics, by layer; `None` without that pass.
        total: samples behind `entries`, of which the table may hold only some.
        hidden: channels of a folded layer that cannot be seen, shape (C,).
        batch_size: of the training, in the unit of the table's rows; assumed where nobody says.
    """
    whole = together(entries)
    layer = whole.layer
    mean, var, eps = stored_statistics(layer)
    found = whole.statistics()
    table = _table(whole)
    instance = layer.kind == INSTANCE_NORM
    average = moving_average(layer, batch_size)
    noise = noise_floor(table, var, eps, average, total=total, instance=instance)
    visible = slice(None) if hidden is None else ~hidden
    rows = SampleMoments(table.count, table.mean[:, visible], table.m2[:, visible])
    # The bound is that of the samples in the table, which may be fewer than were measured.
    rows_noise = rms(noise_floor(rows, var[visible], eps, average, instance=instance))
    batch = own.get(layer.name) if own is not None else None
    inherited = compare(found.mean, found.var, mean, var, eps)
    shown, floor = rms(inherited.gap[visible]), rms(noise[visible])
    return MeasuredLayer(
        layer=layer,
        calls=len(entries),
        call_gaps=tuple(_call_gap(entry, visible) for entry in entries) if len(entries) > 1 else None,
        mean=found.mean,
        var=found.var,
        inherited=inherited,
        own=None if batch is None else compare(batch.mean, batch.var, mean, var, eps),
        noise=noise,
        lower=gap_lower_bound(rows, mean[visible], var[visible], eps, rows_noise, average=average, instance=instance),
        p_value=gap_p_value(rows, var[visible], eps, shown, floor, instance=instance),
        hidden=hidden,
        positions=float(np.mean(table.count)) if len(table) else 1.0,
    )


def stored_statistics(layer: NormLayer) -> tuple[FloatArray, FloatArray, float]:
    """The stored mean and variance, (C,), and eps, of a layer that has them."""
    if layer.mean is None or layer.var is None:
        raise ValueError(f"{layer.name} has no stored statistics")
    return layer.mean, layer.var, layer.eps or 0.0


def _table(entry: CallMoments) -> SampleMoments:
    """The per-sample moments; an empty table where none were kept."""
    table = entry.table()
    if table is not None:
        return table
    none = np.zeros((0, entry.layer.channels))
    return SampleMoments(np.zeros(0), none, none)


def moving_average(layer: NormLayer, batch_size: float | None = None) -> MovingAverage:
    """The layer's own moving average, as far as what the file says of it can be believed.

    A momentum of 0 keeps nothing, one of 0.9 is mostly the other convention's 0.1, and a counter that says
    the initial variance is still there, where it is not, was reset over statistics that had been learned. InstanceNorm
    never counts.
    """
    momentum = layer.momentum if layer.momentum and layer.momentum <= THRESHOLDS.largest_momentum else ASSUMED_MOMENTUM
    initial = (1 - momentum) ** (layer.updates or 0)
    was_reset = layer.var is not None and bool(np.any(layer.var < THRESHOLDS.rounded_variance * initial))
    uncounted = was_reset or layer.kind == INSTANCE_NORM
    return MovingAverage(momentum, None if uncounted else layer.updates, batch_size or ASSUMED_TRAINING_BATCH)


def _call_gap(entry: CallMoments, visible: slice | npt.NDArray[np.bool_]) -> float:
    mean, var, eps = stored_statistics(entry.layer)
    found = entry.statistics()
    return rms(compare(found.mean, found.var, mean, var, eps).gap[visible])


def zeroed_weights(tensors: Iterable[torch.Tensor]) -> ZeroedWeights | None:
    """How many rows of weights are 0 as a whole, and what share of the others is; `None` without any weight of 0.

    Args:
        tensors: of the model; those of two and more axes are weights, a filter or unit to a row. Quantized ones, whose
            small values are rounded to 0, do not count.
    """
    filters = zeros = weights = 0
    for tensor in tensors:
        if tensor.dim() < 2 or not tensor.is_floating_point() or tensor.is_quantized or not tensor.numel():
            continue
        is_zero = (plain(tensor) == 0).flatten(1)
        whole = is_zero.all(1)
        filters += int(whole.sum())
        zeros += int(is_zero[~whole].sum())
        weights += int((~whole).sum()) * is_zero.shape[1]
    return ZeroedWeights(filters, zeros / weights if weights else 0.0) if filters or zeros else None
