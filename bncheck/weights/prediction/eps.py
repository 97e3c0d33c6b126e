"""The eps that a file's layers were trained with, as the statistics stored behind them tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer
from bncheck.results import TrainingEps
from bncheck.weights.prediction.fitting import fits_between, fits_of
from bncheck.weights.prediction.moments import Activation
from bncheck.weights.prediction.pairs import Pair

CANDIDATES = tuple(float(f"{one:.1e}") for one in 10.0 ** np.arange(-7.0, -1.9, 0.5))
"""Half a decade apart, from below every usual eps to above."""
_USUAL = (2, 8)
"""Places of 1e-6 and 1e-3: where nothing between is excluded, nothing is known that anybody asks for."""
_ROOM = 1
"""Steps beyond the last candidate that is not excluded: features with tails moved the best fit by one."""
_FIRST = CANDIDATES[_USUAL[0] : _USUAL[1] + 1 : 2]
"""A decade apart: activations that fit under none of them are not tried under those between."""
_AS_WELL = 1.5
"""Times the distance of the best activation, up to which another may fit better under another eps."""
_MOST = 12
"""Layers that are tried, spread over those that may tell: more cost seconds and tell no more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """How layers fed alike fit under each candidate.

    Attributes:
        pairs: the layers.
        distances: of the means in stored deviations, shape (candidates, layers).
        activations: that fit best under each.
    """

    pairs: Sequence[Pair]
    distances: FloatArray
    activations: tuple[Activation, ...]

    @property
    def rms(self) -> FloatArray:
        """Over the layers, shape (candidates,)."""
        return np.asarray(np.sqrt(np.mean(self.distances**2, axis=1)))

    def excluded(self, distances: FloatArray) -> FloatArray:
        """Tell which `distances`, shape (any, layers), are clearly worse than those under the best candidate.

        For all layers together, for the typical one and for most.
        """
        best = self.distances[int(np.argmin(self.rms))]
        rms, least = np.sqrt(np.mean(distances**2, axis=1)), float(self.rms.min())
        typical = np.median(distances, axis=1)
        worse = np.mean(distances > THRESHOLDS.eps_layer_worse * best, axis=1)
        return np.asarray(
            (rms >= THRESHOLDS.eps_worse * least)
            & (rms >= least + THRESHOLDS.eps_worse_by)
            & (typical >= THRESHOLDS.eps_worse * np.median(best))
            & (worse >= THRESHOLDS.eps_agree)
        )


def eps_of(forms: Iterable[Sequence[Pair]]) -> TrainingEps | None:
    """The eps that explain what is stored, of layers whose source has variances so small that eps shows.

    The output of a layer has the deviation |gamma| sqrt(v / (v + eps)): with v far above every usual eps that is
    |gamma| whatever it is, and nothing can be told. Under each candidate the activation is the one that fits best, so
    that no eps is excluded by an activation that only fits with another.

    Args:
        forms: pairs, those fed alike together.

    Returns:
        `None` where no usual eps is excluded, or where different forms exclude all: it is not known.
    """
    telling = [[pair for pair in pairs if _may_tell(pair.source)] for pairs in forms]
    telling = [pairs for pairs in telling if len(pairs) >= THRESHOLDS.predicted_alike]
    most = max(THRESHOLDS.predicted_alike, _MOST // max(len(telling), 1))
    curves = [curve for pairs in telling if (curve := _curve(_spread_over(pairs, most))) is not None]
    if not curves:
        return None
    possible = ~np.any([curve.excluded(curve.distances) for curve in curves], axis=0)
    if not possible.any():
        return None
    places = np.flatnonzero(possible)
    low, high = max(int(places[0]) - _ROOM, 0), min(int(places[-1]) + _ROOM, len(CANDIDATES) - 1)
    # What no name tells of may take the place of an eps: one that it makes fit is not excluded.
    while low and not any(_stays_excluded(curve, low - 1) for curve in curves):
        low -= 1
    while high < len(CANDIDATES) - 1 and not any(_stays_excluded(curve, high + 1) for curve in curves):
        high += 1
    if low <= _USUAL[0] and high >= _USUAL[1]:
        return None
    rms = np.sqrt(np.mean(np.concatenate([curve.distances for curve in curves], axis=1) ** 2, axis=1))
    best = int(places[np.argmin(rms[places])])
    return TrainingEps(
        low=CANDIDATES[low] if low else None,
        high=CANDIDATES[high] if high < len(CANDIDATES) - 1 else None,
        best=CANDIDATES[best],
        tried=CANDIDATES,
        distances=tuple(float(one) for one in rms),
        layers=tuple(pair.source.name for curve in curves for pair in curve.pairs),
    )


def refitted(pairs: Sequence[Pair], eps: TrainingEps | None) -> list[Pair]:
    """The pairs as if their layers had the eps that fits best, where the one declared or assumed does not explain them.

    Else a wrong eps would pass for wrong statistics behind it.
    """
    if eps is None:
        return list(pairs)
    return [pair if _explains(eps, pair.source) else _with(pair, eps.best) for pair in pairs]


def with_eps(layers: Sequence[NormLayer], eps: TrainingEps) -> list[NormLayer]:
    """The layers, those whose own eps does not explain what is stored behind with the one that fits best."""
    return [layer if _explains(eps, layer) else replace(layer, eps=eps.best) for layer in layers]


def _explains(eps: TrainingEps, layer: NormLayer) -> bool:
    declared = THRESHOLDS.smallest_eps if layer.eps is None else layer.eps
    return not eps.excludes(declared)


def _may_tell(layer: NormLayer) -> bool:
    """Whether the output of enough channels would differ between the smallest and the largest usual eps."""
    _, var = layer.statistics
    alive = var[var > 0]
    changed = np.sqrt((alive + _FIRST[-1]) / (alive + _FIRST[0])) - 1 > THRESHOLDS.eps_seen
    return bool(changed.sum() >= THRESHOLDS.eps_telling * var.size)


def _spread_over(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """So many of them, evenly over the depth."""
    if len(pairs) <= most:
        return list(pairs)
    return [pairs[int(place)] for place in np.linspace(0, len(pairs) - 1, most)]


def _curve(pairs: Sequence[Pair]) -> _Curve | None:
    """The distances under the activation that fits best for each; `None` where the layers fit under none."""
    first = [_by_activation(pairs, eps, None) for eps in _FIRST]
    worth = {
        activation
        for told in first
        for activation, distances in told.items()
        if np.median(distances) <= _AS_WELL * min(float(np.median(one)) for one in told.values())
    }
    rows, activations = [], []
    for eps in CANDIDATES:
        told = first[_FIRST.index(eps)] if eps in _FIRST else _by_activation(pairs, eps, worth)
        activation, row = min(told.items(), key=lambda one: float(np.median(one[1])))
        activations.append(activation)
        rows.append(row)
    distances = np.stack(rows)
    fits = np.isfinite(distances).all() and np.median(distances, axis=1).min() <= THRESHOLDS.predicted_fits
    return _Curve(pairs, distances, tuple(activations)) if fits else None


def _stays_excluded(curve: _Curve, place: int) -> bool:
    """Whether no pooling, gate or tails, the same for all these layers, makes that candidate explain them."""
    eps, activation = CANDIDATES[place], curve.activations[place]
    told = [fits_between(_with(pair, eps), activation) for pair in curve.pairs]
    distances = np.array([[fit.distance for fit in fits] for fits in told]).T
    return bool(curve.excluded(np.concatenate([curve.distances[place : place + 1], distances])).all())


def _with(pair: Pair, eps: float) -> Pair:
    return replace(pair, source=replace(pair.source, eps=eps))


def _by_activation(pairs: Sequence[Pair], eps: float, among: set[Activation] | None) -> Mapping[Activation, FloatArray]:
    """Distances of the layers with that eps before them, by activation, of those `among` which to look."""
    fits = [fits_of(_with(pair, eps), among) for pair in pairs]
    return {activation: np.array([fit[activation].distance for fit in fits]) for activation in fits[0]}
