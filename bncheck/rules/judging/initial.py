"""Which layers hold initial statistics, were trained, or would have learned."""

from __future__ import annotations

import numpy as np

from bncheck.core import THRESHOLDS, NormLayer
from bncheck.evidence import Evidence


def is_initial(layer: NormLayer) -> bool:
    """Tell whether no update has ever run: mean 0 and variance 1 to the last digit."""
    return bool(np.all(layer.mean == 0.0) and np.all(layer.var == 1.0))


def would_have_learned(layer: NormLayer) -> bool:
    """Tell whether training updates the statistics; not those of a frozen class, which may be a folded layer.

    Where only tensors are known, the update counter tells BatchNorm from a frozen class, which has none.
    """
    return layer.trainable_class is True or (layer.trainable_class is None and layer.updates is not None)


def was_trained(layer: NormLayer) -> bool:
    """Tell whether beta varies over channels: no initialisation does that (gamma is drawn at random by some)."""
    values = layer.bias if layer.bias is not None else layer.weight
    return values is not None and values.size > 1 and float(np.ptp(values)) > 0


def learning_layers(evidence: Evidence) -> list[NormLayer]:
    """Give the layers whose statistics training is known to update, with values that can be judged."""
    return [
        layer
        for layer in evidence.with_statistics()
        if would_have_learned(layer) and not layer.missing and not _may_be_folded(layer) and _possible(layer)
    ]


def _may_be_folded(layer: NormLayer) -> bool:
    """Folded into gamma and beta, or (where eps is not known) so near to a variance of 1 - eps that it may be."""
    if layer.eps is not None:
        return layer.is_folded
    mean, variance = layer.statistics
    nearly = bool(np.all(mean == 0.0) and np.all(np.abs(variance - 1.0) <= 2 * THRESHOLDS.largest_eps))
    return nearly and not is_initial(layer)


def _possible(layer: NormLayer) -> bool:
    mean, variance = layer.statistics
    return bool(mean.size) and bool(np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all())
