"""Stored statistics of a file beside those that the weights before them predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer
from bncheck.evidence import PredictedLayer, PredictedMoments, Predictions
from bncheck.formats import Wiring
from bncheck.tensors import torch
from bncheck.vocabulary import Unpredicted
from bncheck.weights.prediction.eps import eps_of, refitted, with_eps
from bncheck.weights.prediction.fitting import Fit, distance_from, fits_of, moments_of, other_fits, typical_distances
from bncheck.weights.prediction.kernels import kernel_of, variance_between
from bncheck.weights.prediction.lost import as_if_learned, predicted_instead, unlearned
from bncheck.weights.prediction.moments import Activation
from bncheck.weights.prediction.pairs import Pair, by_form, pairs_of
from bncheck.weights.prediction.usable import living
from bncheck.weights.prediction.wired_pairs import is_reached, wired_pairs
from bncheck.weights.robust import AS_NORMAL

_NEAR = (0.0, 0.25, 0.5, 0.75)
"""Correlations of neighbouring values that are tried: that which makes layers fed alike most alike is taken."""

_NEIGHBOURS = 3
"""Layers fed alike before and behind one, that it is compared with."""


class Weighted(Protocol):
    """A model whose layers and tensors are known."""

    @property
    def layers(self) -> tuple[NormLayer, ...]:
        """Every normalization layer."""

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Every tensor by its name, in the model's order."""

    def wiring(self) -> Wiring | None:
        """Its graph, where it has one that can be followed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Explained:
    """A pair under the assumption of its form, and as near as any other assumption brings it."""

    pair: Pair
    fit: Fit
    distance: float
    typical: float


@np.errstate(all="ignore")  # values out of a file may be of any size
def predictions_of(model: Weighted) -> Predictions:
    """What the weights say that stored statistics should be, for layers that follow another in the same block.

    The output of the layer before is taken to be normal with mean beta and variance gamma^2 v / (v + eps) in every
    channel, on the data that its statistics come from, and its channels to be independent. What stands between is
    known by the order, names and shapes of the tensors. Layers whose names are alike but for numbers are taken to be
    fed alike: by the same activation, the one that brings them nearest to their predicted means.

    A form counts only where its layers fit: then the assumptions hold, and a layer that does not is an exception.

    Args:
        model: layers and tensors of a file; a backend of any format.

    Numerics: float32 sums over the kernels, float64 beyond.
    """
    stored = [layer.name for layer in model.layers if layer.has_statistics]
    if len(stored) <= THRESHOLDS.predicted_alike:  # the first is fed by the input: a file is not read for nothing
        wiring = _graph(model) if unlearned(model.layers) else None
        return Predictions((), dict.fromkeys(stored, Unpredicted.FEW_ALIKE), instead=_instead(model, {}, wiring))
    wiring = _graph(model)
    if wiring is not None:
        found, reasons = wired_pairs(wiring, model.layers)
        eps = eps_of(by_form([pair for pair in found if pair.known is None or pair.known.entering is None]))
        if eps is not None:
            found, reasons = wired_pairs(wiring, with_eps(model.layers, eps))
    else:
        found, reasons = pairs_of(model.layers, model.tensors())
        eps = eps_of(by_form(found))
        found = refitted(found, eps)
    layers: dict[str, PredictedLayer] = {}
    for alike in by_form(found):
        judged = _of_form(alike)
        if isinstance(judged, Unpredicted):
            reasons.update((pair.target.name, judged) for pair in alike)
        else:
            layers.update((layer.name, layer) for layer in judged)
    order = [layer.name for layer in model.layers if layer.name in layers]
    instead = _instead(model, {layer.form: layer.activation for layer in layers.values()}, wiring)
    return Predictions(tuple(layers[name] for name in order), reasons, eps, instead)


def _graph(model: Weighted) -> Wiring | None:
    """The model's graph, where it tells more than names."""
    wiring = model.wiring()
    return wiring if wiring is not None and is_reached(wiring, model.layers) else None


def _instead(model: Weighted, activations: Mapping[str, str], wiring: Wiring | None) -> Mapping[str, PredictedMoments]:
    """What the weights predict of layers that never learned."""
    if not (blank := unlearned(model.layers)):
        return {}
    layers = as_if_learned(model.layers, blank)
    found, _ = pairs_of(layers, model.tensors()) if wiring is None else wired_pairs(wiring, layers)
    return predicted_instead([pair for pair in found if pair.target.name in blank], activations)


def _of_form(pairs: Sequence[Pair]) -> list[PredictedLayer] | Unpredicted:
    if len(pairs) < THRESHOLDS.predicted_alike:
        return Unpredicted.FEW_ALIKE
    fits = [fits_of(pair) for pair in pairs]
    medians = typical_distances(fits)
    activation = _chosen(medians)
    if not medians[activation] <= min(THRESHOLDS.predicted_fits, THRESHOLDS.predicted_explains * _unexplained(pairs)):
        return Unpredicted.UNLIKE
    explained = [_explained(pair, found, activation) for pair, found in zip(pairs, fits, strict=True)]
    if not all(np.isfinite(one.distance) for one in explained):
        return Unpredicted.UNLIKE
    variances, logs, others = _variances(pairs, activation)
    middle, spread = float(np.median(logs)), _spread(logs)
    distance_alike = float(np.median([one.distance for one in explained]))
    typical_alike = float(np.median([one.typical for one in explained]))
    return [
        PredictedLayer(
            name=one.pair.target.name,
            source=one.pair.source.name,
            weight=one.pair.weight_name,
            activation=activation.value if one.pair.known is None else one.pair.known.told,
            is_known=one.pair.known is not None,
            is_summed=one.pair.known is not None and one.pair.known.summed,
            is_averaged=one.pair.known is not None and one.pair.known.averaged,
            form=one.pair.form,
            alike=len(pairs),
            at_end=one in (explained[0], explained[-1]),
            mean=one.fit.mean,
            var=var * np.exp(middle),
            stored_mean=one.pair.target.statistics[0],
            stored_var=one.pair.target.statistics[1],
            distance=one.distance,
            typical=one.typical,
            distance_alike=distance_alike,
            typical_alike=typical_alike,
            log_factor=_mildest([_beside(one, place) for one in others]),
            log_spread=spread,
        )
        for place, (one, var) in enumerate(zip(explained, variances, strict=True))
    ]


def _chosen(medians: Mapping[Activation, float]) -> Activation:
    """The first that fits as well as the best, to a hundredth of a deviation."""
    least = min(medians.values())
    return next((activation for activation, median in medians.items() if median <= least + 0.01), next(iter(medians)))


def _explained(pair: Pair, fits: Mapping[Activation, Fit], activation: Activation) -> _Explained:
    """A layer off under the form's activation may have another, or a pooling, a gate or a sum before its weight."""
    fit = fits[activation]
    others = list(fits.values())
    if min(one.distance for one in others) >= THRESHOLDS.predicted_suspect:
        others += other_fits(pair, activation)
    return _Explained(pair, fit, min(one.distance for one in others), min(one.typical for one in others))


def _unexplained(pairs: Sequence[Pair]) -> float:
    """The distance that predicting no mean at all would have: small means are near to anything small."""
    return float(np.median([distance_from(np.zeros(pair.target.channels), pair.target) for pair in pairs]))


def _variances(pairs: Sequence[Pair], activation: Activation) -> tuple[list[FloatArray], FloatArray, list[FloatArray]]:
    """Predicted variances, each (C,), and by layer the logarithm of stored over predicted at the median channel.

    Under the correlation that makes layers most alike; and the logarithms under each.
    """
    bounds = [_bounds(pair, activation) for pair in pairs]
    tried = []
    for near in _NEAR:
        mixed = [variance_between(each, near) for each in bounds]
        logs = np.array([_log_ratio(pair.target, var) for pair, var in zip(pairs, mixed, strict=True)])
        tried.append((_spread(logs), mixed, logs))
    _, mixed, logs = min(tried, key=lambda one: one[0])
    return mixed, logs, [one for _, _, one in tried]


def _mildest(factors: Sequence[float]) -> float:
    """What all agree on: a layer is not off that some correlation makes like the others."""
    return 0.0 if min(factors) < 0 < max(factors) else min(factors, key=abs)


def _bounds(pair: Pair, activation: Activation) -> tuple[FloatArray, FloatArray]:
    return kernel_of(pair.weight, None, pair.groups).variances(moments_of(pair)[activation].var)


def _log_ratio(target: NormLayer, predicted: FloatArray) -> float:
    least, (_, var) = np.finfo(np.float64).tiny, target.statistics
    logs = np.log(np.maximum(var, least) / np.maximum(predicted, least))
    return float(np.median(logs[living(var)]))


def _beside(logs: FloatArray, place: int) -> float:
    """By how much one differs from all.

    Where these are few, from those next to it too: the less of the two, 0 where they disagree. How alike channels are
    changes with the depth, and what neighbours have too is no fault of one layer.
    """
    near = np.concatenate([logs[max(0, place - _NEIGHBOURS) : place], logs[place + 1 : place + 1 + _NEIGHBOURS]])
    if logs.size >= THRESHOLDS.predicted_enough:
        return float(logs[place] - np.median(logs))
    of_all, of_near = (float(logs[place] - np.median(others)) for others in (logs, near))
    if of_all * of_near <= 0:
        return 0.0
    return min(of_all, of_near, key=abs)


def _spread(values: FloatArray) -> float:
    return float(AS_NORMAL * np.median(np.abs(values - np.median(values))))
