"""What the update counter says about the statistics: BN104 where they contradict it, BN105 where they bear it out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import ASSUMED_MOMENTUM, compare, rms
from bncheck.core.layers import NormLayer
from bncheck.core.thresholds import BURN_IN, NEAR_MARGIN
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.results.finding import Finding
from bncheck.results.report import INFO, WARNING
from bncheck.rules.absent import is_initial, name_some, was_trained
from bncheck.rules.cost import or_leave, weighed
from bncheck.rules.dummies import LARGEST_MOMENTUM, dummies_of, learning_layers
from bncheck.rules.own import own_statistics

ROUNDED = 0.99
"""Room for a variance that was stored in half precision."""
FLOOR = 2.0
"""A variance up to so many times the initial share lies on the floor that this share makes."""
CROWD = 1 / 3
"""Share of the channels that lie there after a short training; over good statistics under a counter that was reset
it was at most 0.23 (five small nets, three scales of the input, 5 to 28 updates)."""
UNMIXED = 0.5
"""Share of the gap that may be left once the initial values are taken into account; other drift under a counter that
was reset keeps 0.8 of its gap or more."""


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
    def variances(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Of all channels of all layers."""
        return np.concatenate([layer.statistics[1] for layer in self.layers])

    @property
    def on_the_floor(self) -> float:
        """Share of the channels whose variance lies just above the initial share, or below it."""
        return float(np.mean(self.variances <= FLOOR * self.share))

    @property
    def contradicted(self) -> bool:
        """A variance lies below the share that the counter says is left: the counter was reset, for all of them."""
        return bool(self.variances.min() < ROUNDED * self.share)


def contradicting_counter(evidence: Evidence) -> Iterator[Finding]:
    """BN104: the counter says that the initial statistics are still there, and the values say they are not."""
    layers = [layer for layer in _counted(evidence) if layer.updates == 0 and layer.momentum != 0]
    # Without the momentum there is nothing to compare a counter above 0 with.
    layers += [
        layer for short in _short(evidence) if short.contradicted and not short.assumed for layer in short.layers
    ]
    if not layers:
        return
    counts = sorted({layer.updates for layer in layers if layer.updates is not None})
    yield Finding(
        code="BN104",
        severity=INFO,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The update counter of {name_some(layers)} says {' and '.join(map(str, counts))}, but the statistics have "
            "moved further than that: it was reset or not carried over, or counts the batches of a recalibration."
        ),
        fix=(
            "Nothing for inference. Before training on with momentum=None (a cumulative average) set "
            "num_batches_tracked to the true number: the next batch would count as one of the first."
        ),
        evidence={
            "layers": [layer.name for layer in layers],
            "updates": counts,
            "lowest_variance": min(float(layer.statistics[1].min()) for layer in layers),
        },
    )


def not_burnt_in(evidence: Evidence) -> Iterator[Finding]:
    """BN105: after so few updates much of the initial mean 0 and variance 1 is left, and the values show it."""
    if not _weights_were_trained(evidence):
        return
    for short in _short(evidence):
        if not short.contradicted and _shows(short, evidence):
            yield _not_burnt_in(short, evidence)


def _not_burnt_in(short: Short, evidence: Evidence) -> Finding:
    enough = math.ceil(math.log(0.01) / math.log(1 - short.momentum))
    severity = weighed(evidence, WARNING)
    times = "1 update" if short.updates == 1 else f"{short.updates} updates"
    return Finding(
        code="BN105",
        severity=severity,
        layers=tuple(layer.name for layer in short.layers),
        message=(
            f"The statistics of {name_some(short.layers)} have seen {times}: at momentum {short.momentum:g}"
            f"{' (assumed)' if short.assumed else ''}, {short.share:.0%} of every value is still the initial one, "
            "mean 0 and variance 1."
        ),
        fix=or_leave(
            evidence,
            severity,
            "Recalibrate the statistics on training data, or go on training "
            f"(1 % is left after {enough} updates at this momentum).",
        ),
        evidence={
            "layers": [layer.name for layer in short.layers],
            "updates": short.updates,
            "momentum": short.momentum,
            "momentum_assumed": short.assumed,
            "initial_share": short.share,
            "lowest_variance": float(short.variances.min()),
            "channels_near_it": short.on_the_floor,
        },
    )


def _counted(evidence: Evidence) -> list[NormLayer]:
    """Layers with a counter, whose statistics have moved; those that only dummies moved are BN103."""
    return [
        layer
        for layer in learning_layers(evidence)
        if layer.updates is not None and not is_initial(layer) and not dummies_of(layer)
    ]


def _short(evidence: Evidence) -> list[Short]:
    gathered: dict[tuple[int, float | None], list[NormLayer]] = {}
    for layer in _counted(evidence):
        if layer.updates and (layer.momentum is None or 0 < layer.momentum <= LARGEST_MOMENTUM):
            gathered.setdefault((layer.updates, layer.momentum), []).append(layer)
    groups = [
        Short(layers, updates, ASSUMED_MOMENTUM if momentum is None else momentum, assumed=momentum is None)
        for (updates, momentum), layers in gathered.items()
    ]
    return [short for short in groups if short.share > BURN_IN]


def _shows(short: Short, evidence: Evidence) -> bool:
    """Whether more than the counter says so: the data do not fit, or variances crowd just above the share.

    A counter that was reset over good statistics, as in a fine-tune, is no evidence by itself.
    """
    measured = [evidence.measured[layer.name] for layer in short.layers if layer.name in evidence.measured]
    if measured:
        return any(layer.lower > NEAR_MARGIN for layer in measured) and _unmixes(measured, short.share)
    return short.on_the_floor >= CROWD


def _unmixes(measured: Sequence[MeasuredLayer], share: float) -> bool:
    """Whether the data's own statistics, with that share of the initial ones in them, are what is stored.

    A lag behind the weights blurs it, so only half the gap has to go.
    """
    plain, mixed = [], []
    for layer in measured:
        mean, var = own_statistics(layer)
        stored, eps = layer.layer.statistics, layer.layer.eps or 0.0
        plain.append(rms(compare(mean, var, *stored, eps).gap))
        mixed.append(rms(compare((1 - share) * mean, share + (1 - share) * var, *stored, eps).gap))
    return rms(mixed) < UNMIXED * rms(plain)


def _weights_were_trained(evidence: Evidence) -> bool:
    """Whether any layer shows it; layers without gamma and beta cannot."""
    layers = evidence.with_statistics()
    return any(was_trained(layer) for layer in layers) or all(
        layer.weight is None and layer.bias is None for layer in layers
    )
