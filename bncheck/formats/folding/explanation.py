"""Whether an operation is what a convolution of the reference becomes once a given layer is folded into it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bncheck.core import PRECISION, THRESHOLDS, FloatArray, NormLayer, compare, rms
from bncheck.formats.folding.fold import Fold
from bncheck.formats.folding.operations import AffineOperation
from bncheck.formats.folding.reference import Source

_EPSILONS = (1e-5, 1e-3, 1e-6, 1e-4, 1e-2, 1e-12, 0.0)
"""Tried, in this order, where the reference does not say: those in use, torch's and Keras's first."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """What each row of a source was multiplied by to give an operation's.

    Attributes:
        values: shape (O,); they say nothing where a row is `dead` or `lost`.
        dead: rows of the source that are all zeros: any factor would do.
        lost: rows of the operation whose numbers are too small for their type to keep their direction.
        norms: of the source's rows.
    """

    values: FloatArray
    dead: Mask
    lost: Mask
    norms: FloatArray


def gain_of(operation: AffineOperation, source: Source) -> Gain | None:
    """What the rows of `source` were multiplied by; `None` where the operation was not made of them."""
    if not _same_shape(operation, source):
        return None
    rows = operation.rows
    lengths = np.linalg.norm(rows, axis=1)
    lost = lengths <= operation.lost
    if source.weight is None:
        norms = np.asarray(source.norms)
        return Gain(_ratio(lengths, norms), norms == 0, lost, norms)
    original = operation.rows_of(source.weight)
    norms, products = np.linalg.norm(original, axis=1), np.sum(rows * original, axis=1)
    dead = norms == 0
    known = ~dead & ~lost
    parallel = np.abs(products[known]) >= (1 - THRESHOLDS.fold_parallel) * (lengths * norms)[known]
    if not known.any() or not parallel.all() or np.any(dead & ~lost):
        return None
    return Gain(_ratio(products, norms**2), dead, lost, norms)


def _same_shape(operation: AffineOperation, source: Source) -> bool:
    if source.weight is not None:
        return source.weight.shape == operation.weight.shape
    return source.norms is not None and source.norms.shape == (operation.channels,)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
    return ratio


def is_plain(operation: AffineOperation, source: Source, gain: Gain) -> bool:
    """Whether the weight is the reference's own, unscaled."""
    known = ~gain.dead & ~gain.lost
    close = np.abs(gain.values[known] - 1) <= max(THRESHOLDS.fold_unscaled, 2 * operation.precision)
    return source.weight is not None and bool(close.all())


def changes_nothing(layer: NormLayer) -> bool:
    """Whether the layer divides by about 1 in every channel."""
    gamma = 1.0 if layer.weight is None else layer.weight
    return layer.var is not None and bool(
        np.allclose(gamma / np.sqrt(layer.var + (layer.eps or 0.0)), 1, atol=THRESHOLDS.fold_unscaled)
    )


def explained(operation: AffineOperation, source: Source, gain: Gain, layer: NormLayer) -> Fold | None:
    """The fold, if `layer` with some statistics makes this operation of `source`."""
    if layer.channels != operation.channels or layer.mean is None or layer.var is None:
        return None
    known = [layer] if layer.eps is not None else [replace(layer, eps=eps) for eps in _EPSILONS]
    folds = [fold for one in known if (fold := _with_eps(operation, source, gain, one)) is not None]
    least = min((fold.error for fold in folds), default=0.0)
    return next((fold for fold in folds if fold.error <= 2 * least + THRESHOLDS.fold_as_good), None)


def _with_eps(operation: AffineOperation, source: Source, gain: Gain, layer: NormLayer) -> Fold | None:
    gamma = np.ones(layer.channels) if layer.weight is None else layer.weight
    beta = np.zeros(layer.channels) if layer.bias is None else layer.bias
    tolerance = max(tolerance_for(layer), THRESHOLDS.agreement_roundings * operation.precision)
    expected = _expected_gain(layer, gamma)
    hidden = gain.lost & ~gain.dead
    # What is lost has to be what the layer makes so small; rows that are nothing at all say nothing of a layer.
    if np.any(np.abs(expected * gain.norms)[hidden] > 2 * operation.lost):
        return None
    values = np.where(gain.dead, expected, gain.values if source.weight is not None else gain.values * np.sign(gamma))
    # A channel is visible where rounding of its output is small beside what its input adds to it.
    rounding = operation.precision * np.maximum(np.abs(operation.offset), np.abs(beta))
    visible = ~hidden & (np.abs(gamma) * tolerance > 5 * rounding) & (np.abs(gamma) > 0)
    if not visible.any() or np.any(values[visible] * gamma[visible] < 0):
        return None
    mean, var = _folded(operation, source, layer, values, visible)
    moved = compare(mean, var, layer.mean, layer.var, layer.eps or 0.0)  # type: ignore[arg-type]
    # Without the weight that keeps dead channels out of a gap: here eps itself is under test.
    gap = np.hypot(moved.shift, moved.scale - 1)
    error = rms(np.where(np.isnan(gap), np.inf, gap)[visible])
    agrees = error <= tolerance
    if not agrees and not (np.isfinite(error) and np.all(var[visible] + (layer.eps or 0.0) > 0)):
        return None
    worst = int(np.argmax(np.where(visible, gap, -1.0)))
    shipped = layer if agrees else replace(layer, mean=mean, var=var)
    return Fold(operation.key, shipped, visible, error, agrees, worst, layer)


def _expected_gain(layer: NormLayer, gamma: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        gain: FloatArray = gamma / np.sqrt(np.asarray(layer.var) + (layer.eps or 0.0))
    return gain


def _folded(
    operation: AffineOperation, source: Source, layer: NormLayer, gain: FloatArray, visible: Mask
) -> tuple[FloatArray, FloatArray]:
    """The mean and variance that make `operation` of `source`; the layer's own where they cannot be seen."""
    gamma = 1.0 if layer.weight is None else layer.weight
    beta = 0.0 if layer.bias is None else layer.bias
    bias = 0.0 if source.bias is None else source.bias
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = bias + (beta - operation.offset) / gain
        var = (gamma / gain) ** 2 - (layer.eps or 0.0)
    return np.where(visible, mean, np.asarray(layer.mean)), np.where(visible, var, np.asarray(layer.var))


def tolerance_for(layer: NormLayer) -> float:
    """The RMS gap that rounding of the layer's statistics in the type they are stored in may show."""
    return max(THRESHOLDS.statistics_agreement, THRESHOLDS.agreement_roundings * PRECISION.get(layer.dtype or "", 0.0))
