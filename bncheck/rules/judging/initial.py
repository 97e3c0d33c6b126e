"""Which layers would have learned statistics, and which hold but half of what they learned."""

from __future__ import annotations

import numpy as np

from bncheck.core import OTHER, THRESHOLDS, NormLayer, is_initial, is_unclassed, may_be_folded, spread, was_trained
from bncheck.evidence import Evidence

__all__ = [
    "has_initial_means",
    "has_initial_variances",
    "is_half_initial",
    "is_initial",
    "learning_layers",
    "was_trained",
    "would_have_learned",
]


def would_have_learned(layer: NormLayer) -> bool:
    """Tell whether training updates the statistics; not those of a frozen class, which may be a folded layer.

    Where only tensors are known, the update counter tells BatchNorm from a frozen class, which has none.
    """
    return layer.trainable_class is True or (layer.trainable_class is None and layer.updates is not None)


def learning_layers(evidence: Evidence, *, unclassed: bool = False) -> list[NormLayer]:
    """Give the layers whose statistics training is known to update, with values that can be judged.

    Args:
        evidence: of the file.
        unclassed: also those of which neither class nor counter tells, for claims that no folded layer can fit.
    """
    return [
        layer
        for layer in evidence.with_statistics()
        if (would_have_learned(layer) or (unclassed and is_unclassed(layer)))
        and not layer.missing
        and not may_be_folded(layer)
        and _possible(layer)
    ]


def has_initial_means(layer: NormLayer) -> bool:
    """Tell whether the variances were learned, in the typical channel at least, and no mean was.

    A dead layer has means of 0 too, and variances that decayed towards 0, all alike; forwards of zeros leave one
    variance in all channels. A mean of -0 was learned: it is what float16 keeps of a tiny one, as behind a
    normalization without an activation between, whose beta gets no gradient and stays 0. The initial ones are +0.
    """
    mean, variance = layer.statistics
    if np.any(mean != 0.0) or np.any(np.signbit(mean)) or mean.size < 2 or np.median(np.abs(variance - 1.0)) == 0.0:
        return False
    apart = spread(variance)
    return apart > THRESHOLDS.one_variance * float(variance.max()) and apart > THRESHOLDS.no_variance * _eps(layer)


def has_initial_variances(layer: NormLayer) -> bool:
    """Tell whether the means were learned, in the typical channel at least, and no variance was."""
    mean, variance = layer.statistics
    return mean.size > 1 and bool(np.all(variance == 1.0) and np.median(np.abs(mean)) > 0.0)


def is_half_initial(layer: NormLayer) -> bool:
    """Tell whether one of the two was learned and the other was not."""
    return layer.kind != OTHER and (has_initial_means(layer) or has_initial_variances(layer))


def _eps(layer: NormLayer) -> float:
    return layer.eps if layer.eps else THRESHOLDS.smallest_eps


def _possible(layer: NormLayer) -> bool:
    return bool(layer.statistics[0].size) and layer.is_possible
