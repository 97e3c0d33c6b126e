"""Statistics that are on their way (BN608), or describe training with dropout on (BN611)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import compare
from bncheck.core.layers import BATCH_NORM, FloatArray
from bncheck.core.thresholds import DROPOUT_LEFT, LAG_EXPLAINED, NEAR_MARGIN
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.results.finding import Finding
from bncheck.results.report import INFO, WARNING
from bncheck.rules.absent import some_names
from bncheck.rules.cost import in_words, severity_of
from bncheck.rules.drift import drifted_layers

FEWEST_CHANNELS = 8
"""Below it a fraction fits by accident."""
BEGUN, ARRIVED = 0.02, 0.98
"""Fractions outside are statistics that never moved, or gaps too small for a lag to show."""
AS_COUNTED = 0.1
"""How far the fraction may lie from what counter and momentum predict."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far statistics are on the segment from the initial (0, 1) to those of the data.

    Attributes:
        fraction: of the way, one number for all layers (least squares in stored standard deviations).
        explained: share of the squared own gaps that is gone at that point of the segment.
        layers: fitted.
    """

    fraction: float
    explained: float
    layers: tuple[str, ...]


def lag(evidence: Evidence) -> Iterator[Finding]:
    """BN608: mean = f x measured mean, variance = (1 - f) + f x measured variance, with one f in all layers."""
    drifted = drifted_layers(evidence)
    if not drifted or severity_of(evidence.effect) == INFO:
        return
    found = fit_lag([layer for layer in evidence.measured.values() if layer.layer.kind == BATCH_NORM])
    if found is None or found.explained < LAG_EXPLAINED or not BEGUN < found.fraction < ARRIVED:
        return
    expected = _by_counter(evidence)
    yield Finding(
        code="BN608",
        severity=WARNING,
        layers=tuple(found.layers),
        message=(
            f"The statistics lag: they have gone {found.fraction:.0%} of the way from the initial mean 0 and variance "
            f"1 to those of the data, in all layers alike ({found.explained:.0%} of the gap is explained)"
            f"{_in_view_of(expected, found.fraction)}. {in_words(evidence.effect)}"
        ),
        fix=(
            "Run more batches through the network in train mode, without training it, before you evaluate, or "
            "recalibrate; for the next training use a larger momentum (PyTorch's sense) or more steps."
        ),
        evidence={
            "layers": list(found.layers),
            "fraction": found.fraction,
            "explained": found.explained,
            "fraction_by_counter": expected,
            "predictions_changed": evidence.effect.predictions_changed if evidence.effect else None,
            "accuracy_gain": evidence.effect.gain if evidence.effect else None,
        },
    )


def fit_lag(layers: Sequence[MeasuredLayer]) -> Lag | None:
    """One fraction for all `layers`, by least squares over their channels; `None` where there is too little to fit.

    Numerics: float64; distances are in stored standard deviations, to first order in the variance.
    """
    usable = [layer for layer in layers if (gap := layer.own_gap) is not None and math.isfinite(gap)]
    if sum(int(layer.visible.sum()) for layer in usable) < FEWEST_CHANNELS:
        return None
    products = squares = 0.0
    for layer in usable:
        stored, reached = _from_initial(layer)
        products += float((stored * reached).mean())
        squares += float((reached**2).mean())
    if not squares > 0 or not math.isfinite(products):
        return None
    fraction = products / squares
    before = [_squared_gap(layer, 1.0) for layer in usable]
    after = [_squared_gap(layer, fraction) for layer in usable]
    if not sum(before) > 0 or not math.isfinite(sum(after)):
        return None
    if any(left > was + NEAR_MARGIN**2 for was, left in zip(before, after, strict=True)):
        return None  # a layer that fits has arrived, and a moving average takes all layers along
    return Lag(fraction, 1 - sum(after) / sum(before), tuple(layer.layer.name for layer in usable))


def _from_initial(layer: MeasuredLayer) -> tuple[FloatArray, FloatArray]:
    """From (0, 1) to the stored statistics and to the measured ones, as displacements of mean and scale, (2C,)."""
    mean, var, eps = _stored(layer)
    own_mean, own_var = _own(layer)
    sigma = np.sqrt(var + eps)
    stored = np.concatenate([mean / sigma, (var - 1) / (2 * sigma**2)])
    reached = np.concatenate([own_mean / sigma, (own_var - 1) / (2 * sigma**2)])
    return stored, reached


def _squared_gap(layer: MeasuredLayer, fraction: float) -> float:
    """Mean squared gap of the stored statistics from the point of the segment at `fraction`."""
    mean, var, eps = _stored(layer)
    own_mean, own_var = _own(layer)
    gap = compare(fraction * own_mean, np.maximum((1 - fraction) + fraction * own_var, 0.0), mean, var, eps).gap
    return float(np.mean(gap**2))


def _stored(layer: MeasuredLayer) -> tuple[FloatArray, FloatArray, float]:
    chosen = layer.visible
    return np.asarray(layer.layer.mean)[chosen], np.asarray(layer.layer.var)[chosen], layer.layer.eps or 0.0


def _own(layer: MeasuredLayer) -> tuple[FloatArray, FloatArray]:
    """What the layer sees while every layer normalizes by its batch, as training did: back from shift and scale."""
    mean, var, eps = _stored(layer)
    gap = layer.own if layer.own is not None else layer.inherited
    sigma = np.sqrt(var + eps)
    chosen = layer.visible
    return mean + gap.shift[chosen] * sigma, np.maximum((gap.scale[chosen] * sigma) ** 2 - eps, 0.0)


def _by_counter(evidence: Evidence) -> float | None:
    """1 - (1 - momentum)^updates, where the layers agree on both."""
    known = {(layer.layer.momentum, layer.layer.updates) for layer in evidence.measured.values()}
    if len(known) != 1:
        return None
    momentum, updates = known.pop()
    return None if not momentum or not updates else 1 - (1 - momentum) ** updates


def _in_view_of(expected: float | None, fraction: float) -> str:
    if expected is None:
        return ""
    if abs(expected - fraction) < AS_COUNTED:
        return f", as their momentum and number of updates say ({expected:.0%})"
    return f", although their momentum and number of updates say {expected:.0%}"


def dropout_before(evidence: Evidence) -> Iterator[Finding]:
    """BN611: the statistics describe the layers' input with dropout on, as in training, not as inference sees it."""
    drifted = drifted_layers(evidence)
    gaps = {layer.layer.name: evidence.closer.dropout.get(layer.layer.name) for layer in drifted}
    known = {name: gap for name, gap in gaps.items() if gap is not None}
    if not known or len(known) < len(drifted) or severity_of(evidence.effect) == INFO:
        return
    off, on = (math.sqrt(sum(getattr(gap, mode) ** 2 for gap in known.values())) for mode in ("off", "on"))
    worst = max(known, key=lambda name: known[name].off)
    if on > DROPOUT_LEFT * off or known[worst].on > DROPOUT_LEFT * known[worst].off:
        return
    yield Finding(
        code="BN611",
        severity=WARNING,
        layers=tuple(known),
        message=(
            f"Dropout stands before {some_names(list(known))}: the stored statistics describe the input with dropout "
            f"on (gap {known[worst].on:.2f} in {worst}), not as inference sees it (gap {known[worst].off:.2f}). "
            f"{in_words(evidence.effect)}"
        ),
        fix=(
            "Recalibrate the statistics with dropout off, as inference runs; in the next training put dropout behind "
            "the last BatchNorm."
        ),
        evidence={
            "layers": list(known),
            "gaps_dropout_off": [gap.off for gap in known.values()],
            "gaps_dropout_on": [gap.on for gap in known.values()],
            "predictions_changed": evidence.effect.predictions_changed if evidence.effect else None,
            "accuracy_gain": evidence.effect.gain if evidence.effect else None,
        },
    )
