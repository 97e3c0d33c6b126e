"""Which layer of the reference went into which operation of a folded model.

Names seldom survive an export, numbers do: the folded weight is w gamma / sqrt(var + eps), row by row a
multiple of the reference's w, and those multiples with the folded bias tell what was folded in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bncheck.folding.fold import Fold
from bncheck.folding.operations import AffineOperation
from bncheck.folding.reference import Reference, Source
from bncheck.layers import PRECISION, FloatArray, NormLayer
from bncheck.statistics import compare, rms

TOLERANCE = 5e-3
"""RMS gap between folded and stored statistics that rounding in float32 stays far below."""
ROUNDING_ROOM = 50
"""The same for coarser types, in units of their precision."""
_PARALLEL = 1e-3
"""How far from 1 the cosine between a folded row and its source may be."""
_SAME = 1e-4
"""Relative difference below which a weight was not scaled at all."""
_EPSILONS = (1e-5, 1e-3, 1e-6, 1e-4, 1e-2, 1e-12, 0.0)
"""Tried, in this order, where the reference does not say: those in use, torch's and Keras's first."""


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """The folds found.

    Attributes:
        folds: by operation, in the order of the operations.
        unfound: layers of the reference that went into none of them.
    """

    folds: tuple[Fold, ...]
    unfound: tuple[NormLayer, ...]


def match(operations: Sequence[AffineOperation], reference: Reference) -> Matching:
    """Find the operations that hold a layer of the reference.

    First those that hold a layer with exactly its statistics, then, by their place in the reference, those
    that hold it with others.
    """
    found: dict[int, Fold] = {}
    for operation in operations:
        agreeing = (fold for fold in _explanations(operation, reference) if fold.agrees)
        if (fold := next(agreeing, None)) is not None:
            found[id(operation)] = fold
    taken = {fold.layer.name for fold in found.values()}
    for operation in operations:
        if id(operation) in found:
            continue
        free = (fold for fold in _explanations(operation, reference) if fold.layer.name not in taken)
        if (fold := next(free, None)) is not None:
            found[id(operation)] = fold
            taken.add(fold.layer.name)
    kept = tuple(found[id(operation)] for operation in operations if id(operation) in found)
    return Matching(kept, tuple(layer for layer in reference.layers if layer.name not in taken))


def _explanations(operation: AffineOperation, reference: Reference) -> Iterator[Fold]:
    """Every way in which the operation may hold a layer of the reference, the likeliest first."""
    rows = operation.rows
    for source in reference.sources:
        gain = _gain(operation, rows, source)
        if gain is None:
            continue
        layers = reference.after(source)
        if _is_plain(operation, source, gain):
            # Nothing was folded in, or a layer that changes nothing: only the next one can be meant.
            layers = [layer for layer in layers[:1] if _changes_nothing(layer)]
        for layer in layers:
            fold = _explained(operation, source, gain, layer)
            # A stamp knows which weight it speaks of; by numbers alone it has to fit.
            if fold is not None and (fold.agrees or source.layer is None or source.name == operation.name):
                yield fold


def _gain(operation: AffineOperation, rows: FloatArray, source: Source) -> FloatArray | None:
    """What each row of `source` was multiplied by, (O,); `None` where it was not made of them."""
    if source.weight is None:
        if source.norms is None or source.norms.shape != (len(rows),):
            return None
        return _ratio(np.linalg.norm(rows, axis=1), source.norms)
    if source.weight.shape != operation.weight.shape:
        return None
    original = operation.rows_of(source.weight)
    squares, products = np.sum(original**2, axis=1), np.sum(rows * original, axis=1)
    norms = np.sqrt(np.sum(rows**2, axis=1) * squares)
    alive = norms > 0
    if not alive.any() or np.any(np.abs(products[alive]) < (1 - _PARALLEL) * norms[alive]):
        return None
    return _ratio(products, squares)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """0 where there is nothing to divide by: rows of zeros."""
    ratio: FloatArray = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
    return ratio


def _is_plain(operation: AffineOperation, source: Source, gain: FloatArray) -> bool:
    """Whether the weight is the reference's own, unscaled."""
    return source.weight is not None and bool(np.all(np.abs(gain - 1) <= max(_SAME, 2 * operation.precision)))


def _changes_nothing(layer: NormLayer) -> bool:
    """Whether the layer divides by about 1 in every channel."""
    gamma = 1.0 if layer.weight is None else layer.weight
    return layer.var is not None and bool(np.allclose(gamma / np.sqrt(layer.var + (layer.eps or 0.0)), 1, atol=_SAME))


def _explained(operation: AffineOperation, source: Source, gain: FloatArray, layer: NormLayer) -> Fold | None:
    """The fold, if `layer` with some statistics makes this operation of `source`."""
    if layer.channels != operation.channels or layer.mean is None or layer.var is None:
        return None
    known = [layer] if layer.eps is not None else [replace(layer, eps=eps) for eps in _EPSILONS]
    folds = [fold for one in known if (fold := _with_eps(operation, source, gain, one)) is not None]
    return min(folds, key=lambda fold: fold.error, default=None)


def _with_eps(operation: AffineOperation, source: Source, gain: FloatArray, layer: NormLayer) -> Fold | None:
    gamma = np.ones(layer.channels) if layer.weight is None else layer.weight
    beta = np.zeros(layer.channels) if layer.bias is None else layer.bias
    if source.weight is None:
        gain = gain * np.sign(gamma)
    tolerance = max(tolerance_for(layer), ROUNDING_ROOM * operation.precision)
    # A channel is visible where rounding of its output is small beside what its input adds to it.
    rounding = operation.precision * np.maximum(np.abs(operation.offset), np.abs(beta))
    visible = np.abs(gamma) * tolerance > 5 * rounding
    visible &= np.abs(gamma) > 0
    if not visible.any() or np.any(gain[visible] * gamma[visible] < 0):
        return None
    mean, var = _folded(operation, source, gain, layer, gamma, beta, visible)
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


def _folded(
    operation: AffineOperation,
    source: Source,
    gain: FloatArray,
    layer: NormLayer,
    gamma: FloatArray,
    beta: FloatArray,
    visible: npt.NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray]:
    """The mean and variance that make `operation` of `source`; the layer's own where they cannot be seen."""
    bias = np.zeros(layer.channels) if source.bias is None else source.bias
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = bias + (beta - operation.offset) / gain
        var = (gamma / gain) ** 2 - (layer.eps or 0.0)
    return np.where(visible, mean, np.asarray(layer.mean)), np.where(visible, var, np.asarray(layer.var))


def tolerance_for(layer: NormLayer) -> float:
    """The RMS gap that rounding of the layer's statistics in the type they are stored in may show."""
    return max(TOLERANCE, ROUNDING_ROOM * PRECISION.get(layer.dtype or "", 0.0))
