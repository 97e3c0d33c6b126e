"""From what was added up by slice to how far each slice lies from what the layers store, the farthest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from bncheck.core import INSTANCE_NORM, SliceMoments, rms, slice_gap, sure_of_slice
from bncheck.evidence import EffectEvidence, MeasuredLayer, SlicedLayer, SliceEvidence
from bncheck.measure.layers import moving_average, stored_statistics
from bncheck.measure.slices.seen import Slices
from bncheck.predictions import PredictionEffect
from bncheck.watch import SlicedCall

_Calls = list[tuple[SlicedCall, SliceMoments]]


def sliced_evidence(
    slices: Slices | None, measured: Mapping[str, MeasuredLayer], batch_size: float | None, *, compares: bool
) -> tuple[SliceEvidence, ...]:
    """The slices that hold samples, ranked by what of their gap is sure: those of few samples do not lead by noise.

    Args:
        slices: what was added up; `None` where nobody has asked.
        measured: the layers, in the order of the network.
        batch_size: of the training, as for `measured_layer`.
        compares: whether outputs by recalibrated statistics mean anything.
    """
    if slices is None:
        return ()
    calls = dict(slices.calls.by_layer(len(slices.names)))
    known = [(number, name) for number, name in enumerate(slices.names) if slices.samples.get(name)]
    found = []
    for number, name in known:
        layers = tuple(
            _layer(layer, calls[layer_name], number, batch_size, len(known))
            for layer_name, layer in measured.items()
            if layer_name in calls
        )
        told = [layer for layer in layers if np.isfinite(layer.gap)]
        gap, noise = rms([layer.gap for layer in told]), rms([layer.noise for layer in told])
        samples = slices.samples[name]
        found.append(
            SliceEvidence(
                name=name,
                samples=samples,
                gap=gap,
                noise=noise,
                sure=sure_of_slice(gap, noise, samples, len(known)),
                layers=layers,
                accuracy=_accuracy(slices.shipped.get(name)),
                effect=_effect(slices.compared.get(name)) if compares else None,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.sure, -one.samples, one.name)))


@np.errstate(all="ignore")  # values out of a file may be of any size
def _layer(layer: MeasuredLayer, calls: _Calls, number: int, batch_size: float | None, slices: int) -> SlicedLayer:
    """One layer as the samples of one slice see it."""
    moments = _together([rows.at(slice(number, number + 1)) for _, rows in calls])
    found = slice_gap(
        moments,
        calls[0][0].centre,
        stored_statistics(layer.layer),
        moving_average(layer.layer, batch_size),
        instance=layer.layer.kind == INSTANCE_NORM,
    )
    visible = layer.visible
    gap, noise = rms(found.gap.gap[visible]), rms(found.noise[visible])
    samples = float(calls[0][1].samples[number])
    return SlicedLayer(
        name=layer.layer.name,
        gap=gap,
        noise=noise,
        sure=sure_of_slice(gap, noise, samples, slices),
        shift_max=float(np.max(np.abs(found.gap.shift[visible]))),
        scale_min=float(np.min(found.gap.scale[visible])),
        scale_max=float(np.max(found.gap.scale[visible])),
    )


def _together(calls: list[SliceMoments]) -> SliceMoments:
    """A layer's calls as one; they see the same samples, which are no more by that."""
    whole = reduce(add, calls)
    if len(calls) == 1:
        return whole
    effective = np.mean([call.weight**2 / np.maximum(call.squares, 1.0) for call in calls], axis=0)
    return replace(whole, samples=calls[0].samples, squares=whole.weight**2 / np.maximum(effective, 1.0))


def _effect(meter: PredictionEffect | None) -> EffectEvidence | None:
    return None if meter is None else meter.result()


def _accuracy(meter: PredictionEffect | None) -> float | None:
    """The share of right predictions as shipped, where there are such."""
    effect = _effect(meter)
    return None if effect is None or effect.accuracy is None else effect.accuracy.stored
