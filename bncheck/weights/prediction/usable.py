"""Whether a layer's values are such as training leaves them."""

from __future__ import annotations

import numpy as np

from bncheck.core import BATCH_NORM, NormLayer


def is_usable(layer: NormLayer) -> bool:
    """Whether its statistics are of data, and its gamma and beta act on what it normalizes by them."""
    mean, var = layer.statistics
    values = (mean, var, layer.weight, layer.bias)
    possible = all(bool(np.isfinite(one).all()) for one in values if one is not None) and bool((var >= 0).all())
    if not possible or not mean.size or layer.missing or layer.by_input or layer.kind != BATCH_NORM:
        return False
    return not (layer.is_folded or bool(np.all(mean == 0.0)) or bool(np.all(var == 1.0)))
