"""How far what each layer sees has moved since the run whose moments a file keeps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bncheck.core import INSTANCE_NORM, LayerSeen, SampleMoments, moved, rms
from bncheck.errors import UsageError
from bncheck.evidence import DriftEvidence, LayerDrift, MeasuredLayer
from bncheck.measure.observation import Observation
from bncheck.measure.parts.model import KnownModel, identity_of
from bncheck.measure.parts.options import MeasuringOptions
from bncheck.measure.parts.part import Part
from bncheck.vocabulary import argument
from bncheck.watch import CallMoments, Recorder, together

_DECIDES = (
    *("arch", "arch_kwargs", "key", "label_column", "input", "layout", "mean", "std", "resize", "crop", "channels"),
    *("scale", "preset"),
)
"""Options that decide what the layers see of a sample."""


def require_comparable(part: Part, name: str, model: KnownModel, options: MeasuringOptions) -> None:
    """Refuse moments of another model, or of samples that were fed otherwise.

    Args:
        part: what an earlier run saw.
        name: of its file.
        model: of this run.
        options: of this run.

    Raises:
        UsageError: this run's numbers cannot be compared with it.
    """
    if part.model.identity != identity_of(model):
        if part.model.sha256 is not None and part.model.sha256 == model.sha256:
            raise UsageError(
                f"{argument('against')} {name} was written for this model with another reference: give both runs the "
                f"same {argument('reference_data')}, or this one none, and that of the file is taken."
            )
        raise UsageError(
            f"{argument('against')} {name} was written for {part.model.path}, another model than {model.path}: what "
            f"their layers see cannot be compared. Write moments of this one first, with {argument('write_moments')}."
        )
    for option in _DECIDES:
        then, now = getattr(part.options, option), getattr(options, option)
        if then != now:
            raise UsageError(
                f"{argument('against')} {name} was written with another {argument(option)} ({_told(then)}) than this "
                f"run's ({_told(now)}): the layers would differ for that alone. Give the same to both."
            )


def drift_since(part: Part, name: str, seen: Observation, measured: Mapping[str, MeasuredLayer]) -> DriftEvidence:
    """How far the measured layers' inputs have moved since that part was written.

    Args:
        part: what an earlier run saw of the same model.
        name: of its file.
        seen: what this run saw.
        measured: the layers, in the order of the network.
    """
    then, now = Recorder.of(part.seen.stored).by_layer(), seen.stored.by_layer()
    both = [layer for layer in measured if layer in then and layer in now]
    layers = {
        layer: _layer(
            measured[layer], _seen(now[layer], seen.samples), _seen(then[layer], part.seen.samples), len(both)
        )
        for layer in both
    }
    gaps, noises = [layer.gap for layer in layers.values()], [layer.noise for layer in layers.values()]
    return DriftEvidence(name, part.seen.samples, seen.samples, rms(gaps), rms(noises), layers)


@np.errstate(all="ignore")  # values out of a file may be of any size
def _layer(layer: MeasuredLayer, now: LayerSeen, then: LayerSeen, layers: int) -> LayerDrift:
    visible = layer.visible
    found = moved(
        _some(now, visible),
        _some(then, visible),
        layer.layer.eps or 0.0,
        layers=layers,
        instance=layer.layer.kind == INSTANCE_NORM,
    )
    return LayerDrift(
        gap=rms(found.gap.gap),
        noise=rms(found.noise),
        lower=found.lower,
        shift_max=float(np.max(np.abs(found.gap.shift))),
        scale_min=float(np.min(found.gap.scale)),
        scale_max=float(np.max(found.gap.scale)),
    )


def _seen(calls: list[CallMoments], samples: int) -> LayerSeen:
    whole = together(calls)
    found, rows, channels = whole.statistics(), whole.table(), whole.layer.channels
    none = SampleMoments(np.zeros(0), np.zeros((0, channels)), np.zeros((0, channels)))
    return LayerSeen(found.mean, found.var, none if rows is None else rows, samples)


def _some(seen: LayerSeen, visible: npt.NDArray[np.bool_]) -> LayerSeen:
    rows = SampleMoments(seen.rows.count, seen.rows.mean[:, visible], seen.rows.m2[:, visible])
    return LayerSeen(seen.mean[visible], seen.var[visible], rows, seen.samples)


def _told(value: object) -> str:
    return "none" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
