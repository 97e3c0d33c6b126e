"""Whether a layer's values are such as training leaves them."""

from __future__ import annotations

import numpy as np

from bncheck.core import BATCH_NORM, FloatArray, NormLayer

_CONSTANT = 1e-4
"""Of the larger variances of a layer: a channel with less is constant, and what it stores drifts freely."""
_NOTHING = 1e-12
"""A variance far below every usual eps: no larger one in the layer makes it one of data."""
_ENOUGH = 0.5
"""Share of the channels that vary, from which a layer's statistics tell of its input."""


def living(var: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell which channels vary; the larger variances are the upper tenth, that one channel kills no others."""
    return np.asarray(var > max(_CONSTANT * float(np.quantile(var, 0.9)), _NOTHING))


def is_usable(layer: NormLayer) -> bool:
    """Whether its statistics are of data, and its gamma and beta act on what it normalizes by them."""
    mean, var = layer.statistics
    affine = (layer.weight, layer.bias)
    possible = layer.is_possible and all(bool(np.isfinite(one).all()) for one in affine if one is not None)
    if not possible or not mean.size or layer.missing or layer.by_input or layer.kind != BATCH_NORM:
        return False
    if np.mean(living(var)) < _ENOUGH:
        return False
    return not (layer.is_folded or bool(np.all(mean == 0.0)) or bool(np.all(var == 1.0)))
