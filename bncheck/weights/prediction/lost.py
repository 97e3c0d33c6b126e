"""What weights predict in the place of statistics that were lost, or never learned."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bncheck.core import NormLayer, spread
from bncheck.evidence import PredictedMoments
from bncheck.weights.prediction.fitting import moments_of
from bncheck.weights.prediction.kernels import USUALLY_ALIKE, kernel_of, variance_between
from bncheck.weights.prediction.moments import Activation
from bncheck.weights.prediction.pairs import Pair

_ONE = 1e-6
"""Relative difference between variances up to which they are one and the same, as initial ones are."""


def unlearned(layers: Sequence[NormLayer]) -> frozenset[str]:
    """Names of the layers whose means are all 0 and whose variances are all the same: nothing was learned."""
    return frozenset(layer.name for layer in layers if layer.has_statistics and not layer.missing and _is_blank(layer))


def as_if_learned(layers: Sequence[NormLayer], names: Collection[str]) -> tuple[NormLayer, ...]:
    """The layers, those named with some statistics; their variances are far above eps, as nearly all are."""
    return tuple(_learned(layer) if layer.name in names else layer for layer in layers)


@np.errstate(all="ignore")  # values out of a file may be of any size
def predicted_instead(pairs: Sequence[Pair], activations: Mapping[str, str]) -> dict[str, PredictedMoments]:
    """The moments that the output of the layer before has behind the weight, by the layer that it feeds.

    Args:
        pairs: of the layers whose own statistics tell nothing, and what feeds them.
        activations: by form, what stands before the weight where layers fed alike tell it; else ReLU is assumed,
            where no graph says what it is.
    """
    return {pair.target.name: _predicted(pair, activations.get(pair.form)) for pair in pairs}


def _learned(layer: NormLayer) -> NormLayer:
    ones = np.ones(layer.channels)
    return replace(layer, mean=ones, var=2.0 * ones, missing=False)


def _predicted(pair: Pair, known: str | None) -> PredictedMoments:
    moments = moments_of(pair)
    named = {activation.value: activation for activation in moments}
    chosen = named.get(known or Activation.RELU.value, next(iter(moments)))
    kernel = kernel_of(pair.weight, pair.bias, pair.groups)
    mean = kernel.means(moments[chosen].mean[:, None])[0].sum(axis=1)
    return PredictedMoments(
        source=pair.source.name,
        weight=pair.weight_name,
        activation=pair.known.told if pair.known is not None else chosen.value,
        mean=mean if kernel.bias is None else mean + kernel.bias,
        var=variance_between(kernel.variances(moments[chosen].var), USUALLY_ALIKE),
    )


def _is_blank(layer: NormLayer) -> bool:
    mean, var = layer.statistics
    return bool(mean.size and np.all(mean == 0.0) and spread(var) <= _ONE * float(np.max(np.abs(var))))
