"""Whose weights the statistics of an averaged copy fit: its own, or those of the raw model in the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer, SiblingCopy
from bncheck.evidence import CopyFit
from bncheck.formats import Backend
from bncheck.tensors import torch
from bncheck.weights.prediction.fitting import fits_of, typical_distances
from bncheck.weights.prediction.moments import Activation
from bncheck.weights.prediction.pairs import Pair, by_form, pairs_of

_MOST = 40
"""Layers that are compared, spread over the depth: more take time and tell no more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Copy:
    """Layers and tensors of one copy, under the names of the inspected model."""

    layers: Mapping[str, NormLayer]
    tensors: Mapping[str, torch.Tensor]


@np.errstate(all="ignore")  # values out of a file may be of any size
def copies_of(model: Backend) -> tuple[CopyFit, ...]:
    """How well the averaged copy's statistics fit both sets of weights, for each copy that is worth comparing.

    The raw model is the control: where its own statistics do not fit its own weights, what stands between layers is
    not what was assumed, and nothing is compared. Layers need not be alike, since each is its own control.

    Args:
        model: as it was opened, with the tensors of the copies beside it.

    Numerics: float32 sums over the kernels, float64 beyond.
    """
    worth = [one for one in model.siblings if one.name in model.counterparts and not one.same_weights]
    worth = [one for one in worth if one.averaged != model.averaged]
    if not worth:
        return ()
    own = _Copy(_stored(model.layers), model.tensors())
    found, _ = pairs_of(model.layers, own.tensors)
    return tuple(fit for one in worth if (fit := _compared(own, one, model, found)) is not None)


def _compared(own: _Copy, sibling: SiblingCopy, model: Backend, pairs: Sequence[Pair]) -> CopyFit | None:
    other = _Copy(_stored(sibling.layers), model.counterparts[sibling.name])
    raw, averaged = (other, own) if model.averaged else (own, other)
    found: list[tuple[str, float, float, float]] = []
    shared = [pair for pair in pairs if pair.target.name in other.layers]
    for alike, activation in _that_fit([both for pair in shared if (both := _under(pair, raw, raw)) is not None]):
        for pair in alike:
            one = _distance(_under(pair, averaged, averaged), activation)
            under_raw = _distance(_under(pair, raw, averaged), activation)
            found.append((pair.target.name, one, under_raw, _distance(pair, activation)))
    found = [row for row in found if np.isfinite(row[1:]).all()]
    if len(found) < THRESHOLDS.predicted_alike:
        return None
    distances: FloatArray = np.array([row[1:] for row in found])
    return CopyFit(sibling.name, tuple(row[0] for row in found), *distances.T)


def _that_fit(pairs: Sequence[Pair]) -> Iterator[tuple[list[Pair], Activation]]:
    """The raw model's layers by how they are fed, and what stands between them, where their predictions fit."""
    step = max(1, -(-len(pairs) // _MOST))
    for alike in by_form(pairs[::step]):
        medians = typical_distances([fits_of(pair) for pair in alike])
        best = min(medians, key=medians.__getitem__)
        if medians[best] <= THRESHOLDS.predicted_fits:
            yield alike, best


def _under(pair: Pair, weights: _Copy, statistics: _Copy) -> Pair | None:
    """The pair with the weights of one copy and the statistics of one; `None` where they have no such layer.

    The slopes of a PReLU stay those of the inspected model: an average moves them little.
    """
    weight = _plain(weights.tensors.get(f"{pair.weight_name}.weight"))
    source, target = (_mixed(name, weights, statistics) for name in (pair.source.name, pair.target.name))
    if weight is None or weight.shape != pair.weight.shape or source is None or target is None:
        return None
    bias = _plain(weights.tensors.get(f"{pair.weight_name}.bias")) if pair.bias is not None else None
    return replace(pair, source=source, target=target, weight=weight, bias=bias)


def _plain(tensor: torch.Tensor | None) -> torch.Tensor | None:
    """The tensor if it can be computed with; another copy in the file may be stored in any form."""
    usable = tensor is not None and tensor.is_floating_point() and tensor.layout == torch.strided
    return tensor if usable and tensor is not None and not tensor.is_meta else None


def _mixed(name: str, weights: _Copy, statistics: _Copy) -> NormLayer | None:
    affine, stored = weights.layers.get(name), statistics.layers.get(name)
    if affine is None or stored is None:
        return None
    return replace(affine, mean=stored.mean, var=stored.var)


def _distance(pair: Pair | None, activation: Activation) -> float:
    return float("nan") if pair is None else fits_of(pair, (activation,))[activation].distance


def _stored(layers: Sequence[NormLayer]) -> dict[str, NormLayer]:
    """By name, those whose statistics are of data."""
    stored = [layer for layer in layers if layer.has_statistics and not layer.missing and layer.is_possible]
    return {layer.name: layer for layer in stored if np.any(layer.statistics[0] != 0.0)}
