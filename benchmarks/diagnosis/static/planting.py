"""Faults in the statistics of one layer, and what an audit without data says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bncheck.core import NormLayer
from bncheck.evidence import Evidence, Predictions
from bncheck.formats import Wiring
from bncheck.rules import judge
from bncheck.weights import predictions_of

Plant = Callable[[NormLayer, np.random.Generator], NormLayer]
OWN = {"BN102", "BN103", "BN106", "BN107"}
"""Rules that may name a layer whose statistics are wrong."""


def _noise(deviations: float) -> Plant:
    def plant(layer: NormLayer, random: np.random.Generator) -> NormLayer:
        mean, var = layer.statistics
        return replace(layer, mean=mean + deviations * np.sqrt(var) * random.standard_normal(mean.shape))

    return plant


def _factor(factor: float) -> Plant:
    return lambda layer, random: replace(layer, var=layer.statistics[1] * factor)


def _never(layer: NormLayer, random: np.random.Generator) -> NormLayer:
    mean, var = layer.statistics
    return replace(layer, mean=np.zeros_like(mean), var=np.ones_like(var))


def _permuted(layer: NormLayer, random: np.random.Generator) -> NormLayer:
    mean, var = layer.statistics
    order = random.permutation(mean.size)
    return replace(layer, mean=mean[order], var=var[order])


FAULTS: dict[str, Plant] = {
    **{f"means off by {size} sd": _noise(size) for size in (0.2, 0.3, 0.5, 1.0)},
    **{f"variances x {name}": _factor(factor) for name, factor in (("1/16", 1 / 16), ("1/4", 0.25), ("1/2", 0.5))},
    **{f"variances x {factor}": _factor(factor) for factor in (2, 4, 16)},
    "channels permuted": _permuted,
    "never updated": _never,
}
ALONE = ("channels permuted", "never updated")
"""Those without a strength."""
MANY = "a third of the layers off by 1 sd"
AVERAGED = "averaged weights, buffers of the raw ones"


@dataclass(frozen=True, slots=True, eq=False)
class Audited:
    """Layers and tensors of a file, some of them changed."""

    layers: tuple[NormLayer, ...]
    held: Mapping[str, torch.Tensor]
    graph: Wiring | None = None

    def wiring(self) -> Wiring | None:
        """Its graph, which is drawn once."""
        return self.graph

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """By name."""
        return self.held

    def predicted(self) -> Predictions:
        """What the weights say."""
        return predictions_of(self)

    def named(self) -> tuple[set[str], bool]:
        """The layers that rules about wrong statistics name, and whether one of them warns."""
        findings = judge(Evidence(self.layers, predicted=self.predicted()), OWN)
        names = {layer for finding in findings for layer in finding.layers}
        return names, any(finding.severity != "info" for finding in findings)

    def planted(self, plant: Plant, names: Sequence[str], random: np.random.Generator) -> Audited:
        """The file with that fault in those layers."""
        layers = tuple(plant(layer, random) if layer.name in names else layer for layer in self.layers)
        return replace(self, layers=layers)


@dataclass(frozen=True, slots=True)
class Trial:
    """One file with one fault, or none.

    Attributes:
        net: which.
        fault: what was planted; `None` for a healthy file.
        found: the layer that it was planted in was named; of several, the warning was given.
        false: how many other layers were named, beside those of the file as it came.
        warned: there was a warning or an error.
    """

    net: str
    fault: str | None
    found: bool
    false: int
    warned: bool


@dataclass(frozen=True, slots=True)
class Healthy:
    """How a healthy file looks.

    Attributes:
        layers: with statistics.
        judged: of these, how many are predicted.
        median, worst: distances of their means from those predicted, in stored deviations.
        low, high: the smallest and the largest logarithm of their variances over those of layers fed alike.
    """

    layers: int
    judged: int
    median: float
    worst: float
    low: float
    high: float


def looked_at(file: Audited) -> Healthy:
    """The distances of a healthy file."""
    layers = file.predicted().layers
    distances = [layer.distance for layer in layers] or [np.nan]
    logs = [layer.log_factor for layer in layers] or [np.nan]
    stored = sum(layer.has_statistics for layer in file.layers)
    return Healthy(stored, len(layers), float(np.median(distances)), max(distances), min(logs), max(logs))


def trials(name: str, file: Audited, averaged: Audited | None, seed: int, most: int | None) -> Iterator[Trial]:
    """The healthy file, every fault in layers that can be judged, and faults of the whole file.

    Args:
        name: of the file.
        file: it.
        averaged: averaged weights with its buffers; `None` without.
        seed: of what is drawn.
        most: into so many of its layers, spread over its depth, each fault is planted; `None`: into all.
    """
    random = np.random.default_rng(seed)
    known, warned = file.named()
    yield Trial(name, None, found=False, false=len(known), warned=warned)
    judged = [layer.name for layer in file.predicted().layers]
    chosen = judged if most is None else judged[:: max(1, len(judged) // max(most, 1))][:most]
    for fault, plant in FAULTS.items():
        for layer in chosen:
            names, warned = file.planted(plant, [layer], random).named()
            yield Trial(name, fault, layer in names, len(names - known - {layer}), warned)
    third = judged[1::3]
    if len(third) > 2:
        names, warned = file.planted(FAULTS["means off by 1.0 sd"], third, random).named()
        yield Trial(name, MANY, warned, len(names - known - set(third)), warned)
    if averaged is not None:
        names, warned = averaged.named()
        yield Trial(name, AVERAGED, warned, len(names), warned)
