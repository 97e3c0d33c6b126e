"""What the update counter says about the statistics, and what the values say to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import INSTANCE_NORM, THRESHOLDS, FloatArray, NormLayer
from bncheck.evidence import Evidence
from bncheck.rules.judging.initial import is_half_initial, is_initial, learning_layers
from bncheck.rules.judging.warm_up import warm_up_of


@dataclass(frozen=True, slots=True, eq=False)
class Short:
    """Layers that were updated equally often, so few times that by the counter the initial values are not gone.

    Attributes:
        layers: at least one.
        updates, momentum: what they have in common.
        assumed: the file does not give the momentum.
    """

    layers: Sequence[NormLayer]
    updates: int
    momentum: float
    assumed: bool

    @property
    def share(self) -> float:
        """What is left of the initial values, by the counter."""
        return float((1 - self.momentum) ** self.updates)

    @property
    def variances(self) -> FloatArray:
        """Of all channels of all layers."""
        return np.concatenate([layer.statistics[1] for layer in self.layers])

    @property
    def on_the_floor(self) -> float:
        """Share of the channels whose variance lies just above the initial share, or below it."""
        return float(np.mean(self.variances <= THRESHOLDS.initial_floor * self.share))

    @property
    def contradicted(self) -> bool:
        """A variance lies below the share that the counter says is left: the counter was reset, for all of them."""
        return bool(self.variances.min() < THRESHOLDS.counter_rounding * self.share)

    @property
    def contradicted_at_any_momentum(self) -> bool:
        """So it does whatever the momentum was, where the file does not give it; a known class has a cumulative one."""
        least = (1 - THRESHOLDS.largest_momentum) ** self.updates
        unclassed = all(layer.trainable_class is None for layer in self.layers)
        return self.assumed and unclassed and bool(self.variances.min() < THRESHOLDS.counter_rounding * least)


def counted(evidence: Evidence) -> list[NormLayer]:
    """Give the layers with a counter whose statistics have moved.

    Those that only a warm-up moved are BN103, those of which one half moved BN107. InstanceNorm never counts.
    """
    return [
        layer
        for layer in learning_layers(evidence)
        if layer.updates is not None
        and layer.kind != INSTANCE_NORM
        and not (is_initial(layer) or is_half_initial(layer) or warm_up_of(layer))
    ]


def short_trainings(evidence: Evidence) -> list[Short]:
    """Give the layers that were updated so few times that the initial values should still be there, by counter."""
    gathered: dict[tuple[int, float | None], list[NormLayer]] = {}
    for layer in counted(evidence):
        if layer.updates and (layer.momentum is None or 0 < layer.momentum <= THRESHOLDS.largest_momentum):
            gathered.setdefault((layer.updates, layer.momentum), []).append(layer)
    groups = [
        Short(layers, updates, THRESHOLDS.assumed_momentum if momentum is None else momentum, assumed=momentum is None)
        for (updates, momentum), layers in gathered.items()
    ]
    return [short for short in groups if short.share > THRESHOLDS.burn_in]
