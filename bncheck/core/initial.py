"""Statistics that are the initial ones: which layers hold them, and what the rest of the file says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bncheck.core.layers import OTHER, FloatArray, NormLayer
from bncheck.core.thresholds import THRESHOLDS


def is_initial(layer: NormLayer) -> bool:
    """Tell whether no update has ever run: mean 0 and variance 1 to the last digit."""
    mean, variance = layer.statistics
    return bool(np.all(mean == 0.0) and np.all(variance == 1.0))


def spread(values: FloatArray) -> float:
    """The largest value less the smallest; NaN where that is infinity less infinity, or one of them is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.ptp(values))


def was_trained(layer: NormLayer) -> bool:
    """Tell whether beta varies over channels: no initialisation does that (gamma is drawn at random by some)."""
    values = layer.bias if layer.bias is not None else layer.weight
    return values is not None and values.size > 1 and spread(values) > 0


def may_be_folded(layer: NormLayer) -> bool:
    """Folded into gamma and beta, or (where eps is not known) so near to a variance of 1 - eps that it may be.

    A variance of exactly 1 is what a frozen class has then; of that layer `identities` tells what can be told.
    """
    if layer.eps is not None:
        return layer.is_folded
    mean, variance = layer.statistics
    nearly = bool(np.all(mean == 0.0) and np.all(np.abs(variance - 1.0) <= 2 * THRESHOLDS.largest_eps))
    return nearly and not is_initial(layer)


def is_unclassed(layer: NormLayer) -> bool:
    """Tell whether neither its class nor an update counter says that training updates the statistics.

    So it is in files older than PyTorch 0.4.1, converted ones, and classes of one's own. What keeps a running mean of
    something else (observations) is none of these.
    """
    return layer.trainable_class is None and layer.updates is None and not layer.missing and layer.kind != OTHER


@dataclass(frozen=True, slots=True)
class Identities:
    """Layers whose statistics are the initial ones under trained weights, where no class and no counter tells why.

    Attributes:
        never_updated: names of those beside which others of the same kind have learned.
        untold: names of those that were never updated, or folded into gamma and beta on purpose.
    """

    never_updated: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def identities(layers: Iterable[NormLayer]) -> Identities:
    """Tell apart what can be told of such layers.

    Where another layer has a counter, those without one are a frozen class, which keeps the identity on purpose. Where
    none has, and others hold statistics that were learned, whoever folded would have folded those too.
    """
    stored = [layer for layer in layers if layer.has_statistics]
    unclassed = [layer for layer in stored if is_unclassed(layer)]
    suspects = [layer for layer in unclassed if is_initial(layer)]
    if not any(map(was_trained, suspects)) or any(layer.updates is not None for layer in stored):
        return Identities()
    if any(not is_initial(layer) and not may_be_folded(layer) for layer in unclassed):
        return Identities(never_updated=tuple(layer.name for layer in suspects if was_trained(layer)))
    return Identities(untold=tuple(layer.name for layer in suspects))
