"""Statistics that nothing but warm-up forwards of zeros ever updated: how many, and by which momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bncheck.core import THRESHOLDS, NormLayer, spread


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Forwards of zeros in training mode: how many, and the momentum by which they were averaged."""

    forwards: int
    momentum: float


def warm_up_of(layer: NormLayer) -> WarmUp | None:
    """Find how many forwards of zeros explain a mean of 0 and one variance in all channels; `None` where none do.

    Zeros have mean 0 and variance 0, so k of them leave (1 - momentum)^k of the initial variance of 1. The momentum is
    the layer's own, PyTorch's default (frameworks set their own after the warm-up), or the one that counter and
    variance imply together, if people write such numbers.
    """
    mean, variances = layer.statistics
    left = float(variances[0])
    if np.any(mean != 0.0) or not 0 < left < 1 or spread(variances) > THRESHOLDS.one_variance * left:
        return None
    for momentum in (layer.momentum, THRESHOLDS.assumed_momentum):
        if momentum is not None and 0 < momentum < 1:
            forwards = round(math.log(left) / math.log(1 - momentum))
            if 1 <= forwards <= THRESHOLDS.most_warm_up_forwards and _agree(left, momentum, forwards):
                return WarmUp(forwards, momentum)
    if layer.momentum is None and layer.updates and layer.updates <= THRESHOLDS.most_warm_up_forwards:
        momentum = round(1 - left ** (1 / layer.updates), 3)
        likely = THRESHOLDS.smallest_momentum <= momentum <= THRESHOLDS.largest_momentum
        if likely and _agree(left, momentum, layer.updates):
            return WarmUp(layer.updates, momentum)
    return None


def _agree(left: float, momentum: float, forwards: int) -> bool:
    """To the rounding of as many multiplications in float32."""
    return math.isclose(left, (1 - momentum) ** forwards, rel_tol=2e-7 * (forwards + 4))
