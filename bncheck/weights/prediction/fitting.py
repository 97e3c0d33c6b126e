"""One layer's means as the weights before it predict them, under everything that may stand in between."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import FloatArray, NormLayer
from bncheck.weights.prediction.kernels import borders_of, inside, kernel_of
from bncheck.weights.prediction.moments import Activation, Moments, after, output_of
from bncheck.weights.prediction.pairs import Known, Pair
from bncheck.weights.prediction.usable import living
from bncheck.weights.robust import AS_NORMAL

CANDIDATES = (
    *(Activation.RELU, Activation.LEAKY_RELU, Activation.SILU, Activation.HARD_SWISH, Activation.RELU6),
    *(Activation.GELU, Activation.MISH, Activation.ELU, Activation.TANH, Activation.LINEAR),
)
"""The commoner first: of those that fit alike, the first is taken."""
_POOLINGS = (0.25, 0.5, 0.75, 1.0, 1.25)
"""Deviations by which the largest of a few values lies above their mean: of 2 x 2 that are alike, or not at all."""
_FACTORS = (0.4, 0.5, 0.6, 0.75, 1.25, 1.5)
"""Of a gate, or of a dropout that was not scaled."""
_TAILS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2)
"""Mean absolute values, in that of a normal distribution: below 1 where few values make most of the variance."""
_CLIPPED = 3.0
"""Stored deviations: a channel farther off counts as so far, that one does not make a layer's distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A layer's means under one assumption.

    Attributes:
        mean: predicted, shape (C,).
        distance: clipped RMS of (stored - predicted mean) in stored deviations.
        typical: the same by the median channel.
    """

    mean: FloatArray
    distance: float
    typical: float


def fits_of(pair: Pair, among: Collection[Activation] | None = None) -> dict[Activation, Fit]:
    """The pair's prediction under every candidate, or those `among` them, each with the border that suits it best."""
    if pair.known is not None and pair.known.entering is not None:
        fits = _fitted(pair, [one.mean for one in pair.known.entering])
        return {pair.known.activation: min(fits, key=lambda fit: fit.distance)}
    before = moments_of(pair, among)
    return dict(zip(before, _fitted(pair, [one.mean for one in before.values()]), strict=True))


def typical_distances(fits: Sequence[Mapping[Activation, Fit]]) -> dict[Activation, float]:
    """The median distance of several pairs under each candidate."""
    return {one: float(np.median([fit[one].distance for fit in fits])) for one in fits[0]}


def other_fits(pair: Pair, activation: Activation) -> list[Fit]:
    """The same where something without weights of its own stands before the weight, which no name tells of.

    A pooling that takes the largest of a few neighbours, a factor (a gate that is the same for all channels), or a sum
    with what an earlier layer gives, before the activation or behind it. And where the output of the layer before is
    not normal, as that of sparse features: the activation's mean is half of beta, and the rest goes with the tails.
    Where a graph tells what stands between, these tails alone.
    """
    if pair.known is not None:
        gamma, beta = _before(pair)
        if activation is Activation.LINEAR:
            return []
        means = [after(activation, share * gamma, beta, _slope(pair.known)).mean for share in _TAILS]
        return _fitted(pair, [*_tails(moments_of(pair)[activation], beta), *means])
    before = moments_of(pair)[activation]
    gamma, beta = output_of(pair.source)
    inputs = _between(before, beta)
    if pair.slope is None:
        inputs += [after(activation, share * gamma, beta).mean for share in _TAILS]
        for earlier in pair.earlier:
            other_gamma, other_beta = output_of(earlier)
            inputs.append(before.mean + after(activation, other_gamma, other_beta).mean)
            inputs.append(after(activation, np.hypot(gamma, other_gamma), beta + other_beta).mean)
    return _fitted(pair, inputs)


def fits_between(pair: Pair, activation: Activation) -> list[Fit]:
    """Those of `other_fits` that are not another deviation of what the activation is given, as another eps is too."""
    _, beta = _before(pair)
    between = _between if pair.known is None else _tails
    return _fitted(pair, between(moments_of(pair)[activation], beta))


def _between(before: Moments, beta: FloatArray) -> list[FloatArray]:
    """Means of what enters the weight, by what may stand between it and the activation."""
    inputs = [before.mean + share * np.sqrt(before.var) for share in _POOLINGS]
    inputs += [before.mean * factor for factor in _FACTORS]
    return inputs + _tails(before, beta)


def _tails(before: Moments, beta: FloatArray) -> list[FloatArray]:
    return [beta / 2 + share * (before.mean - beta / 2) for share in _TAILS]


def _before(pair: Pair) -> tuple[FloatArray, FloatArray]:
    """Deviations and means of what the activation is given."""
    if pair.known is None or pair.known.before is None:
        return output_of(pair.source)
    return np.sqrt(pair.known.before.var), pair.known.before.mean


def _slope(known: Known) -> FloatArray | float:
    return 0.0 if known.slope is None else known.slope


def moments_of(pair: Pair, among: Collection[Activation] | None = None) -> Mapping[Activation, Moments]:
    """The moments of what enters the weight, by activation: by the graph's alone, where there is one."""
    if pair.known is not None and pair.known.entering is not None:
        return {pair.known.activation: pair.known.entering[0]}
    gamma, beta = output_of(pair.source)
    if pair.known is not None:
        return {pair.known.activation: after(pair.known.activation, gamma, beta, _slope(pair.known))}
    if pair.slope is not None:
        slope = pair.slope.detach().cpu().double().reshape(-1).numpy()
        return {Activation.PRELU: after(Activation.PRELU, gamma, beta, slope)}
    chosen = CANDIDATES if among is None else [one for one in CANDIDATES if one in among]
    return {activation: after(activation, gamma, beta) for activation in chosen}


def _fitted(pair: Pair, inputs: list[FloatArray]) -> list[Fit]:
    kernel = kernel_of(pair.weight, pair.bias, pair.groups)
    added = kernel.means(np.stack(inputs, axis=1))
    padded = None if pair.known is None else pair.known.padded
    met = np.stack([inside(kernel, border) for border in borders_of(kernel, padded)], axis=1)
    bias = 0.0 if kernel.bias is None else kernel.bias
    return [_best_border(taps, met, bias, pair.target) for taps in added]


def _best_border(taps: FloatArray, met: FloatArray, bias: FloatArray | float, target: NormLayer) -> Fit:
    """The prediction under the border that suits it best.

    Args:
        taps: what each tap adds to the means, shape (C, taps).
        met: the share of positions at which each meets values, shape (taps, borders).
        bias: shape (C,), or 0.
        target: whose means these are.
    """
    predicted = taps @ met + np.reshape(bias, (-1, 1))
    off = _deviations(predicted, target)
    distances = np.sqrt(np.mean(off**2, axis=0))
    best = int(np.argmin(distances))
    return Fit(predicted[:, best], float(distances[best]), float(AS_NORMAL * np.median(off[:, best])))


def distance_from(mean: FloatArray, target: NormLayer) -> float:
    """The clipped RMS of (stored - given mean) in stored deviations."""
    return float(np.sqrt(np.mean(_deviations(mean[:, None], target) ** 2)))


def _deviations(predicted: FloatArray, target: NormLayer) -> FloatArray:
    """How far each of the living channels is off, shape (living, any), clipped."""
    mean, var = target.statistics
    alive = living(var)
    # A channel that hardly varies has no deviations worth counting in: a tenth of the typical one's at least.
    spread = np.sqrt(np.maximum(var, 0.01 * np.median(var[alive])) + np.finfo(np.float64).tiny)
    return np.asarray(np.minimum(np.abs(predicted - mean[:, None]) / spread[:, None], _CLIPPED)[alive])
