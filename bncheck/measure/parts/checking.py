"""Whether what a part's file says can be true: sizes that fit together, counts that are counts."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np

from bncheck.core import InstanceMoments, Moments, NormLayer, SliceMoments
from bncheck.data import MOST_SLICES
from bncheck.measure.parts.part import Part
from bncheck.measure.slices.seen import RememberedSlices
from bncheck.predictions import PredictionEffect, RememberedEffect
from bncheck.results import MisfitError
from bncheck.watch import RememberedCall, RememberedRecorder, Rows

MOST_SHARDS = 2**20
_SAMPLES = 2**40
_OF_SLICES = ("samples", "weight", "squares")
_AXES = {each.name: 1 if each.name in _OF_SLICES else 2 for each in fields(SliceMoments)}
"""Axes of what is kept of the slices: slices, and channels."""


def require_true(part: Part) -> None:
    """Raise `MisfitError` where it cannot be."""
    if not 0 <= part.shard.index < part.shard.count <= MOST_SHARDS:
        raise _wrong("shard", "is no share of the data")
    for layer in part.model.layers:
        _require_layer(layer, f"model.layers.{layer.name}")
    for copy in part.model.siblings:
        for layer in copy.layers:
            _require_layer(layer, f"model.siblings.{copy.name}.{layer.name}")
    channels = {layer.name: layer.channels for layer in part.model.layers}
    for name, hidden in part.model.hidden.items():
        if hidden.shape != (channels.get(name),):
            raise _wrong(f"model.hidden.{name}", "has another shape than the layer")
    if part.model.stored_samples is not None:
        _require_count(part.model.stored_samples, "model.stored_samples")
    seen = part.seen
    for name in ("samples", "dropped", "bad", "not_finite"):
        _require_count(getattr(seen, name), f"seen.{name}")
    if seen.compared is not None:
        _require_count(seen.compared, "seen.compared")
    _require_recorder(seen.stored, "seen.stored")
    for at, fold in enumerate(seen.folds or ()):
        _require_recorder(fold, f"seen.folds.{at}")
    for check in seen.session.runtime:
        if check.errors.ndim != 1 or not 0 <= check.channel < len(check.errors):
            raise _wrong("seen.session.runtime", "names a channel that it does not have")
    for layer in seen.session.found.values():
        _require_layer(layer, f"seen.session.found.{layer.name}")
    _require_effect(seen.effect)
    if seen.slices is not None:
        _require_slices(seen.slices)
    for stage in part.cost.stages:
        _require_count(stage.samples, "cost.stages")


def _require_slices(slices: RememberedSlices) -> None:
    number = len(slices.names)
    if len(set(slices.names)) != number or number > MOST_SLICES or len(slices.samples) != number:
        raise _wrong("seen.slices", "are named twice, too many, or counted otherwise than named")
    for count in (*slices.samples, slices.left_out):
        _require_count(count, "seen.slices.samples")
    for at, call in enumerate(slices.calls):
        place, moments = f"seen.slices.calls[{at}]", call.moments
        _require_called(call.name, call.layer, place)
        _require_count(call.call, f"{place}.call")
        for each in fields(moments):
            values = getattr(moments, each.name)
            if values.shape not in ((number,), (number, call.layer.channels)) or values.ndim != _AXES[each.name]:
                raise _wrong(f"{place}.moments.{each.name}", "have another shape than slices and channels")
        if not all((np.isfinite(one) & (one >= 0)).all() for one in (moments.samples, moments.weight, moments.squares)):
            raise _wrong(f"{place}.moments", "hold what is no number of values")
    for effects in (slices.shipped, slices.compared):
        if not effects.keys() <= set(slices.names):
            raise _wrong("seen.slices", "compare outputs of slices that they do not name")
        for effect in effects.values():
            _require_effect(effect)


def _require_effect(kept: RememberedEffect) -> None:
    for hits in kept.hits.values():
        if not 0 <= hits.right <= hits.total:
            raise _wrong("seen.effect.hits", "has more right predictions than predictions")
    for head in kept.heads.values():
        _require_effect(head)
    try:
        PredictionEffect.of(kept).result()
    except MisfitError as misfit:
        raise misfit.within("seen", "effect") from None
    except (ArithmeticError, ValueError) as error:
        raise _wrong("seen.effect", "does not add up") from error


def _require_recorder(recorder: RememberedRecorder, place: str) -> None:
    if recorder.limit and (len(recorder.limit) > 16 or not set(recorder.limit) <= set("0123456789abcdef")):
        raise _wrong(f"{place}.limit", "is no key")
    met = set()
    for at, call in enumerate(recorder.calls):
        where = f"{place}.calls[{at}]"
        if (call.name, call.call) in met:
            raise _wrong(where, "stands there twice")
        met.add((call.name, call.call))
        _require_call(call, where)


def _require_call(call: RememberedCall, place: str) -> None:
    layer = call.layer
    _require_called(call.name, layer, place)
    _require_count(call.seen, f"{place}.seen")
    _require_count(call.call, f"{place}.call")
    for name, moments in (("moments", call.moments), ("groups", call.groups)):
        if moments is not None:
            _require_moments(moments, layer.channels, f"{place}.{name}")
    if call.instances is not None:
        _require_instances(call.instances, layer.channels, f"{place}.instances")
    if call.rows is not None:
        _require_rows(call.rows, layer.channels, f"{place}.rows")


def _require_called(name: str, layer: NormLayer, place: str) -> None:
    _require_layer(layer, f"{place}.layer")
    if layer.name != name or not layer.has_statistics:
        raise _wrong(f"{place}.layer", "is not the layer that was called")


def _require_layer(layer: NormLayer, place: str) -> None:
    if not 0 <= layer.channels < _SAMPLES:
        raise _wrong(place, "has no such number of channels")
    for name in ("mean", "var", "weight", "bias"):
        values = getattr(layer, name)
        if values is not None and values.shape != (layer.channels,):
            raise _wrong(f"{place}.{name}", f"has the shape {values.shape}, and the layer {layer.channels} channels")


def _require_moments(moments: Moments, channels: int, place: str) -> None:
    _require_size(moments.count, place)
    if moments.mean.shape != (channels,) or moments.m2.shape != (channels,):
        raise _wrong(place, f"have another shape than the layer's {channels} channels")


def _require_instances(moments: InstanceMoments, channels: int, place: str) -> None:
    _require_size(moments.count, place)
    if moments.mean.shape != (channels,) or moments.variance.shape != (channels,):
        raise _wrong(place, f"have another shape than the layer's {channels} channels")


def _require_rows(rows: Rows, channels: int, place: str) -> None:
    number = (len(rows.keys),) if rows.keys.ndim == 1 else (-1,)
    table = rows.table
    if not number == rows.numbers.shape == table.count.shape or not (
        table.mean.shape == table.m2.shape == (*number, channels)
    ):
        raise _wrong(place, f"are no table of samples over {channels} channels")
    if not ((table.count > 0) & (table.count < _SAMPLES)).all():
        raise _wrong(f"{place}.table.count", "holds what is no number of values")


def _require_size(count: float, place: str) -> None:
    if not (math.isfinite(count) and count >= 0):
        raise _wrong(f"{place}.count", "is no number of values")


def _require_count(count: int, place: str) -> None:
    if not 0 <= count < _SAMPLES:
        raise _wrong(place, "is no number of samples")


def _wrong(place: str, problem: str) -> MisfitError:
    return MisfitError("", problem=problem).within(place)
