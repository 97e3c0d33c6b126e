"""BN608: statistics that are on their way from the initial ones to those of the data, all layers alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import BATCH_NORM, THRESHOLDS, FloatArray, compare, rms
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words, more_samples, or_leave, repair_or_check
from bncheck.rules.judging.drifting import drifted_layers, own_statistics
from bncheck.rules.judging.harm import harm_of, may_win, severity_of, speaks_for_recalibrating
from bncheck.rules.judging.measures import noise_of, single
from bncheck.vocabulary import CHECK, Harm, Severity


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


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield by its cost where mean = f x measured mean, variance = (1 - f) + f x measured variance, with one f."""
    severity = _severity(evidence)
    if severity == Severity.INFO or not drifted_layers(evidence, THRESHOLDS.near_margin):
        return  # the nearer margin, since a lag leaves small gaps, and one fraction for all is sure by itself
    found = fit_lag([layer for layer in evidence.measured.values() if layer.layer.kind == BATCH_NORM])
    if found is None or found.explained < THRESHOLDS.lag_explained:
        return
    if not THRESHOLDS.lag_begun < found.fraction < THRESHOLDS.lag_arrived:
        return
    expected = _by_counter(evidence)
    yield Finding(
        code="BN608",
        severity=severity,
        layers=tuple(found.layers),
        message=(
            f"The statistics lag: they have gone {found.fraction:.0%} of the way from the initial mean 0 and variance "
            f"1 to those of the data, in all layers alike ({found.explained:.0%} of the gap is explained)"
            f"{_in_view_of(expected, found.fraction)}. {in_words(evidence.effect)}"
        ),
        fix=_remedy(evidence),
        measure=single("share of the way", 1 - found.fraction, noise=_noise(found, evidence)),
        cost=cost_of(evidence.effect, evidence),
        command=CHECK if _is_open(evidence) else repair_or_check(evidence),
        evidence={
            "layers": list(found.layers),
            "fraction": found.fraction,
            "explained": found.explained,
            "fraction_by_counter": expected,
            "predictions_changed": evidence.effect.predictions_changed if evidence.effect else None,
            "accuracy_gain": evidence.effect.gain if evidence.effect else None,
        },
    )


def _severity(evidence: Evidence) -> Severity:
    """Give the severity by cost; what one fraction explains is certain, and a warning where its cost is not known."""
    severity = severity_of(evidence.effect)
    is_open = harm_of(evidence.effect) is Harm.UNKNOWN and may_win(evidence.effect)
    return Severity.WARNING if severity == Severity.INFO and is_open else severity


def _is_open(evidence: Evidence) -> bool:
    """Tell whether neither score nor loss shows yet that other statistics do better."""
    return harm_of(evidence.effect) is Harm.UNKNOWN and not speaks_for_recalibrating(evidence.effect)


def _remedy(evidence: Evidence) -> str:
    next_time = "for the next training use a larger momentum (PyTorch's sense) or more steps."
    if _is_open(evidence):
        return f"{more_samples(evidence.effect)} {next_time[0].upper()}{next_time[1:]}"
    recalibrate = "Recalibrate, or run more batches through the network in train mode, without training it, before you "
    return or_leave(evidence, severity_of(evidence.effect), f"{recalibrate}evaluate; {next_time}")


def fit_lag(layers: Sequence[MeasuredLayer]) -> Lag | None:
    """Fit one fraction for all `layers`, by least squares over their channels; `None` where there is too little to fit.

    Numerics: float64; distances are in stored standard deviations, to first order in the variance.
    """
    usable = [layer for layer in layers if (gap := layer.own_gap) is not None and math.isfinite(gap)]
    if sum(int(layer.visible.sum()) for layer in usable) < THRESHOLDS.lag_channels:
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
    if any(left > was + THRESHOLDS.near_margin**2 for was, left in zip(before, after, strict=True)):
        return None  # a layer that fits has arrived, and a moving average takes all layers along
    return Lag(fraction, 1 - sum(after) / sum(before), tuple(layer.layer.name for layer in usable))


def _from_initial(layer: MeasuredLayer) -> tuple[FloatArray, FloatArray]:
    """Give the way from (0, 1) to the stored and to the measured statistics: displacements of mean and scale, (2C,)."""
    mean, var, eps = _stored(layer)
    own_mean, own_var = _on_the_data(layer)
    sigma = np.sqrt(var + eps)
    stored = np.concatenate([mean / sigma, (var - 1) / (2 * sigma**2)])
    reached = np.concatenate([own_mean / sigma, (own_var - 1) / (2 * sigma**2)])
    return stored, reached


def _squared_gap(layer: MeasuredLayer, fraction: float) -> float:
    """Give the mean squared gap of the stored statistics from the point of the segment at `fraction`."""
    mean, var, eps = _stored(layer)
    own_mean, own_var = _on_the_data(layer)
    gap = compare(fraction * own_mean, np.maximum((1 - fraction) + fraction * own_var, 0.0), mean, var, eps).gap
    return float(np.mean(gap**2))


def _stored(layer: MeasuredLayer) -> tuple[FloatArray, FloatArray, float]:
    chosen = layer.visible
    return np.asarray(layer.layer.mean)[chosen], np.asarray(layer.layer.var)[chosen], layer.layer.eps or 0.0


def _on_the_data(layer: MeasuredLayer) -> tuple[FloatArray, FloatArray]:
    """Give what the layer sees while every layer normalizes by its batch, as training did."""
    mean, var = own_statistics(layer)
    return mean[layer.visible], var[layer.visible]


def _noise(found: Lag, evidence: Evidence) -> float:
    """Give what the noise under the gaps makes of the share that is left to go."""
    layers = [evidence.measured[name] for name in found.layers]
    gap = rms([layer.own_gap or 0.0 for layer in layers])
    return (1 - found.fraction) * noise_of(layers) / gap if gap > 0 else 0.0


def _by_counter(evidence: Evidence) -> float | None:
    """Give 1 - (1 - momentum)^updates, where the layers agree on both."""
    known = {(layer.layer.momentum, layer.layer.updates) for layer in evidence.measured.values()}
    if len(known) != 1:
        return None
    momentum, updates = known.pop()
    return None if not momentum or not updates else 1 - (1 - momentum) ** updates


def _in_view_of(expected: float | None, fraction: float) -> str:
    if expected is None:
        return ""
    if abs(expected - fraction) < THRESHOLDS.lag_as_counted:
        return f", as their momentum and number of updates say ({expected:.0%})"
    return f", although their momentum and number of updates say {expected:.0%}"
