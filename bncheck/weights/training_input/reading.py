"""A model's first convolution and the norm behind it say what it was fed; where they do not surely, nothing is said."""

from __future__ import annotations

import numpy as np

from bncheck.core import FloatArray, NormLayer, in_float64
from bncheck.errors import ModelError
from bncheck.formats import AffineOperation, Backend
from bncheck.results import TrainingInput
from bncheck.vocabulary import Kind
from bncheck.weights.training_input.families import are_colours, boxes_of, constants_of, family_of, order_of
from bncheck.weights.training_input.fitting import Filters, Level, Spread, level_of, spread_of

LEAST_FILTERS = 8
"""Filters that live, below which a few of them decide."""
MOST_FILTERS = 512
"""Filters that are looked at: more tell nothing new."""
LEAST_SIDE, LARGEST_SIDE = 2, 16
"""Of the kernel: of one pixel nothing is known of how the pixels hang together, and larger ones are no pictures'."""
LEAST_NEIGHBOURS = 0.6
"""Correlation of neighbouring pixels that pictures have at the least (photographs 0.9)."""
LARGEST_SPREAD_ERROR = 0.35
"""Typical error of the logarithm of a variance (public checkpoints: 0.01 to 0.2)."""
LARGEST_LEVEL_ERROR = 0.05
"""Typical error of a mean in stored deviations (public checkpoints: 0.0003 to 0.02)."""
SPREAD_ROOM = 1.06
"""Times. How far the standard deviation may lie beyond those of all correlations that fit."""
MOST_NORMS = 16
"""Norms that are tried where names are all that is known of their order."""
LEVEL_ERRORS = 3.0
"""Standard errors that the mean may be off."""
NORMALIZING = ("mean", "std")
"""Words in the names of what a model normalizes its input by."""
DISTINCT = 1e-6
"""Relative difference between stored values below which they are one value: initial ones, or a constant."""


def training_input_of(model: Backend) -> TrainingInput | None:
    """What the model was fed in training; `None` where that is not known for certain.

    The first convolution in the model's own order is taken to be fed by the input, and the first layer with
    statistics to follow it; that they belong together shows in how well the one explains the other.
    """
    if model.folds or model.is_quantized():
        return None
    convolution = _first(model)
    if convolution is None or _normalizes(model, convolution.weight.shape[1]):
        return None
    norms = [layer for layer in model.layers if layer.has_statistics]
    if model.runnable:
        return _told(convolution, norms[0]) if norms else None
    # Names alone may be in any order: then the norm is meant whose statistics the convolution explains.
    fitting = [layer for layer in norms if layer.channels == convolution.channels][:MOST_NORMS]
    return next(filter(None, (_told(convolution, layer) for layer in fitting)), None)


def _normalizes(model: Backend, channels: int) -> bool:
    """Whether the model may normalize its input itself, by a mean or a deviation of so many values that it holds.

    A graph is asked for what comes before its first convolution when that is read.
    """
    statistics = {f"{layer.name}." for layer in model.layers}
    return any(
        tensor.numel() == channels
        and any(word in name.rpartition(".")[2].lower() for word in NORMALIZING)
        and f"{name.rpartition('.')[0]}." not in statistics
        for name, tensor in model.tensors().items()
    )


def _first(model: Backend) -> AffineOperation | None:
    """The first operation with weights, if it is a convolution of pictures in gray or in colour."""
    try:
        first = model.first_operation()
    except ModelError:  # values that cannot be read, of which the reading of the layers says more
        return None
    if first is None or first.weight.ndim != 4 or first.transposed or not boxes_of(first.weight.shape[1]):
        return None
    sides = first.weight.shape[2:]
    return first if min(sides) >= LEAST_SIDE and max(sides) <= LARGEST_SIDE else None


def _told(convolution: AffineOperation, norm: NormLayer) -> TrainingInput | None:
    if norm.kind != Kind.BATCH_NORM or norm.by_input or norm.missing or norm.is_folded:
        return None
    mean, var = norm.statistics
    if len(convolution.offset) != convolution.channels:
        return None
    if len(mean) != convolution.channels or _is_one_value(mean) or _is_one_value(var):
        return None
    with np.errstate(all="ignore"):  # values out of a file may be of any size
        some = slice(MOST_FILTERS)
        weight, bias = in_float64(convolution.weight[some]), convolution.offset[some]
        filters = Filters.alive(weight, bias, mean[some], var[some])
        if len(filters) < LEAST_FILTERS:
            return None
        spread = spread_of(filters)
        if spread is None or not _is_clear(spread):
            return None
        level = level_of(filters, spread.std)
    if not level.error <= LARGEST_LEVEL_ERROR:
        return None
    return _named(convolution, norm, len(filters), spread, level)


def _is_one_value(values: FloatArray) -> bool:
    """Whether all are the same, as initial ones are."""
    with np.errstate(invalid="ignore"):  # infinite values are not one value
        return not float(np.ptp(values)) > DISTINCT * float(np.max(np.abs(values)))


def _is_clear(spread: Spread) -> bool:
    is_smooth = spread.least_neighbours >= LEAST_NEIGHBOURS
    return is_smooth and spread.error <= LARGEST_SPREAD_ERROR and not spread.initial


def _named(
    convolution: AffineOperation, norm: NormLayer, filters: int, spread: Spread, level: Level
) -> TrainingInput | None:
    channels = len(level.mean)
    middle, room = float(level.mean.mean()), LEVEL_ERRORS * float(np.sqrt((level.errors**2).mean()))
    family = family_of(channels, (middle - room, middle + room), (spread.low / SPREAD_ROOM, spread.high * SPREAD_ROOM))
    means = tuple(float(one) for one in level.mean)
    if family is None or not are_colours(family, means):
        return None
    order = order_of(family, means, LEVEL_ERRORS * level.apart_error)
    scale, mean, std = constants_of(family, channels, order)
    return TrainingInput(
        channels, family, scale, mean, std, order, means, spread.std, convolution.name, norm.name, filters
    )
