"""Convolutions stand in for normalization layers that a model has lost, by what they give on good data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bncheck.core import BATCH_NORM, FloatArray, NormLayer
from bncheck.errors import DataError, UsageError
from bncheck.formats.backend import Backend
from bncheck.formats.folding import AffineOperation, Fold
from bncheck.results import MeasuredReference
from bncheck.vocabulary import argument
from bncheck.watch import Statistics

_KERNEL = 3
"""Axes of a convolution's weight, at the least."""
_EPS = 1e-5
"""Of the median variance of a layer's channels: those that hardly ever change count for no more."""


def with_watched_outputs(model: Backend) -> Backend:
    """The model with a layer behind every convolution that changes nothing, and stores nothing worth comparing with.

    In a model without convolutions they stand behind all linear layers but the last, which gives the outputs.

    Raises:
        UsageError: it has normalization layers with statistics of its own, or nothing that could be watched.
    """
    own = sum(layer.has_statistics and not layer.missing for layer in model.layers)
    if own:
        raise UsageError(
            f"{argument('reference_data')} is for exports without normalization layers, and {model.path} has {own} "
            "with stored statistics, which are its reference. To compare two runs, keep one with "
            f"{argument('write_moments')} and name it with {argument('against')}."
        )
    folds = [_fold(name, operation, None) for name, operation in _named(model).items()]
    if not folds:
        raise UsageError(
            f"{argument('reference_data')}: {model.path} has no convolutions or linear layers whose outputs could be "
            "watched, as far as its file tells."
        )
    return model.with_folds(folds)


def with_measured_reference(model: Backend, found: Mapping[str, Statistics], samples: int, source: str) -> Backend:
    """The model whose layers store what their operations gave on reference data.

    Args:
        model: without normalization layers.
        found: mean and variance by layer, as `with_watched_outputs` names them.
        samples: they were measured on.
        source: what these are called.

    Raises:
        DataError: they are not finite, or of none of the model's operations.
    """
    operations = _named(model)
    known = {name: each for name, each in found.items() if name in operations and _fits(each, operations[name])}
    odd = next((name for name, each in known.items() if not _is_sound(each)), None)
    if odd is not None or not known:
        raise DataError(
            f"{source}: the model's outputs at {odd} are not finite on them, so they are no reference."
            if odd is not None
            else f"{source}: no operation of {model.path} was reached by them."
        )
    folds = [_fold(name, operations[name], each) for name, each in known.items()]
    note = MeasuredReference(len(folds), samples, source)
    return replace(model.with_folds(folds), notes=(*model.notes, note), stored_samples=samples)


def _fits(found: Statistics, operation: AffineOperation) -> bool:
    return found.mean.shape == found.var.shape == (operation.channels,)


def _is_sound(found: Statistics) -> bool:
    return bool(np.isfinite([found.mean, found.var]).all() and (found.var >= 0).all())


def measured_layers(layers: Sequence[NormLayer]) -> dict[str, Statistics]:
    """What layers store that were measured so, by name."""
    return {layer.name: Statistics(*layer.statistics) for layer in layers if layer.has_statistics}


def _named(model: Backend) -> dict[str, AffineOperation]:
    """The operations that are watched, by the name of their layer."""
    operations = model.operations()
    convolutions = [one for one in operations if one.weight.ndim >= _KERNEL]
    named: dict[str, AffineOperation] = {}
    for operation in convolutions or operations[:-1]:
        name = operation.name.removesuffix(".weight")
        while name in named:
            name += "'"
        named[name] = operation
    return named


def _fold(name: str, operation: AffineOperation, found: Statistics | None) -> Fold:
    """A layer that gives what it is fed, and stores what was found."""
    channels = operation.channels
    mean, var = (np.zeros(channels), np.full(channels, 4.0)) if found is None else (found.mean, found.var)
    eps = _EPS * _typical(var)
    layer = NormLayer(
        name=name,
        kind=BATCH_NORM,
        channels=channels,
        mean=mean,
        var=var,
        eps=eps,
        weight=np.sqrt(var + eps),
        bias=mean,
        dtype="float32",
    )
    return Fold(operation.key, layer, np.ones(channels, dtype=bool), 0.0, True, 0, layer)


def _typical(var: FloatArray) -> float:
    positive = var[var > 0]
    return float(np.median(positive)) if positive.size else 1.0
