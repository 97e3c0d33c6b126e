"""BN103: statistics that nothing but dummy forwards ever updated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bncheck.core import ASSUMED_MOMENTUM
from bncheck.core.layers import NormLayer
from bncheck.core.thresholds import LARGEST_EPS
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import WARNING
from bncheck.rules.absent import is_initial, name_some, was_trained, would_have_learned
from bncheck.rules.cost import or_leave, weighed

MOST_FORWARDS = 100
LARGEST_MOMENTUM = 0.5
"""Above it the newest batch outweighs all others: mostly another convention's momentum."""
SMALLEST_MOMENTUM = 0.005


@dataclass(frozen=True, slots=True)
class Dummies:
    """Forwards of zeros in training mode: how many, and the momentum by which they were averaged."""

    forwards: int
    momentum: float


def polluted(evidence: Evidence) -> Iterator[Finding]:
    """BN103: nothing but forwards of zeros ever updated the statistics, under weights that were trained."""
    layers = [layer for layer in learning_layers(evidence) if dummies_of(layer)]
    found = dummies_of(layers[0]) if layers else None
    if found is None or not any(was_trained(layer) for layer in layers):
        return
    variance = float(layers[0].statistics[1][0])
    severity = weighed(evidence, WARNING)
    forwards = "1 forward" if found.forwards == 1 else f"{found.forwards} forwards"
    yield Finding(
        code="BN103",
        severity=severity,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The statistics of {name_some(layers)} are the initial ones after {forwards} of zeros in training mode: "
            f"mean 0 and variance {variance:.4g} in every channel, although the weights were trained."
        ),
        fix=or_leave(
            evidence,
            severity,
            "Recalibrate the statistics on training data, and find out why training did not update them (eval mode, "
            "averaged weights without buffers). Run dummy forwards in eval mode.",
        ),
        evidence={
            "layers": [layer.name for layer in layers],
            "mean": 0.0,
            "variance": variance,
            "forwards": found.forwards,
            "momentum": found.momentum,
            "updates": layers[0].updates,
        },
    )


def dummies_of(layer: NormLayer) -> Dummies | None:
    """How many forwards of zeros explain a mean of 0 and one variance in all channels; `None` where none do.

    Zeros have mean 0 and variance 0, so k of them leave (1 - momentum)^k of the initial variance of 1. The momentum is
    the layer's own, PyTorch's default (frameworks set their own after the dummy), or the one that counter and
    variance imply together, if people write such numbers.
    """
    mean, variances = layer.statistics
    left = float(variances[0])
    if np.any(mean != 0.0) or not 0 < left < 1 or float(np.ptp(variances)) > 1e-6 * left:
        return None
    for momentum in (layer.momentum, ASSUMED_MOMENTUM):
        if momentum is not None and 0 < momentum < 1:
            forwards = round(math.log(left) / math.log(1 - momentum))
            if 1 <= forwards <= MOST_FORWARDS and _agree(left, momentum, forwards):
                return Dummies(forwards, momentum)
    if layer.momentum is None and layer.updates and layer.updates <= MOST_FORWARDS:
        momentum = round(1 - left ** (1 / layer.updates), 3)
        if SMALLEST_MOMENTUM <= momentum <= LARGEST_MOMENTUM and _agree(left, momentum, layer.updates):
            return Dummies(layer.updates, momentum)
    return None


def learning_layers(evidence: Evidence) -> list[NormLayer]:
    """The layers whose statistics training is known to update, with values that can be judged."""
    return [
        layer
        for layer in evidence.with_statistics()
        if would_have_learned(layer) and not layer.missing and not _may_be_folded(layer) and _possible(layer)
    ]


def _agree(left: float, momentum: float, forwards: int) -> bool:
    """To the rounding of as many multiplications in float32."""
    return math.isclose(left, (1 - momentum) ** forwards, rel_tol=2e-7 * (forwards + 4))


def _may_be_folded(layer: NormLayer) -> bool:
    """Folded into gamma and beta, or (where eps is not known) so near to a variance of 1 - eps that it may be."""
    if layer.eps is not None:
        return layer.is_folded
    mean, variance = layer.statistics
    nearly = bool(np.all(mean == 0.0) and np.all(np.abs(variance - 1.0) <= 2 * LARGEST_EPS))
    return nearly and not is_initial(layer)


def _possible(layer: NormLayer) -> bool:
    mean, variance = layer.statistics
    return bool(mean.size) and bool(np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all())
