"""Faults, each planted into a copy of a trained net or into what it is fed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.diagnosis.tasks.problems import Problem
from benchmarks.diagnosis.tasks.training import Samples, drawn, norms, seeded

Norm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """A net with a fault, or samples with one.

    Attributes:
        name: of the fault.
        codes: any of these names it rightly.
        net: in eval mode.
        layers: those whose statistics are wrong, where they are one or two.
        scale: what inputs are multiplied by.
    """

    name: str
    codes: tuple[str, ...]
    net: nn.Module
    layers: frozenset[str] = frozenset()
    scale: float = 1.0


def _times(factor: float) -> Callable[[Norm, torch.Generator], None]:
    def change(norm: Norm, generator: torch.Generator) -> None:
        norm.running_var.mul_(factor)

    return change


def _off(deviations: float) -> Callable[[Norm, torch.Generator], None]:
    def change(norm: Norm, generator: torch.Generator) -> None:
        signs = 2.0 * torch.randint(2, norm.running_mean.shape, generator=generator) - 1
        norm.running_mean.add_(deviations * signs * (norm.running_var + norm.eps).sqrt())

    return change


def _permuted(norm: Norm, generator: torch.Generator) -> None:
    order = torch.randperm(norm.num_features, generator=generator)
    for values in (norm.running_mean, norm.running_var):
        values.copy_(values[order].clone())


def _half(norm: Norm, generator: torch.Generator) -> None:
    half = norm.num_features // 2
    norm.running_var[:half].mul_(16)
    norm.running_mean[:half].zero_()


ONE_LAYER: dict[str, Callable[[Norm, torch.Generator], None]] = {
    "variances x4": _times(4.0),
    "variances x16": _times(16.0),
    "variances /16": _times(1 / 16),
    "means off by 0.5 sd": _off(0.5),
    "means off by 1 sd": _off(1.0),
    "channels permuted": _permuted,
    "half of the channels": _half,
}
QUICK = ("variances x16", "variances /16", "means off by 1 sd", "channels permuted", "lag, 25% initial", "input x4")


def planted(net: nn.Module, problem: Problem, seed: int, only: Sequence[str] = ()) -> Iterator[Fault]:
    """Yield every fault, or those named; the seed draws which inner layers are wrong."""
    for number, name in enumerate(names()):
        if not only or name in only:
            yield _planted(name, net, problem, seeded(seed, number))


def names() -> list[str]:
    """Give the names of all faults, in the order of the table."""
    return [*ONE_LAYER, "two layers swapped", *LAGS, "never updated", "momentum 0.99", *SCALES]


LAGS = {"lag, 50% initial": 0.5, "lag, 25% initial": 0.25, "lag, 10% initial": 0.1}
SCALES = {"input x255": 255.0, "input x4": 4.0, "input /4": 0.25}


def _planted(name: str, net: nn.Module, problem: Problem, generator: torch.Generator) -> Fault:
    broken = copy.deepcopy(net)
    layers = norms(broken)
    inner = list(layers)[1:]
    if name in ONE_LAYER:
        chosen = inner[int(torch.randint(len(inner), (1,), generator=generator))]
        with torch.no_grad():
            ONE_LAYER[name](layers[chosen], generator)
        return Fault(name, ("BN607", "BN603"), broken, frozenset({chosen}))
    if name == "two layers swapped":
        return Fault(name, ("BN607", "BN603"), broken, _swapped(layers, inner, generator))
    if name in SCALES:
        return Fault(name, ("BN601",), broken, scale=SCALES[name])
    if name == "momentum 0.99":
        _measured_on(broken, drawn(problem, 1 if problem.uneven else 8, generator))
        return Fault(name, ("BN603", "BN105", "BN608"), broken)
    share = LAGS.get(name, 1.0)
    for norm in layers.values():
        norm.running_mean.mul_(1 - share)
        norm.running_var.mul_(1 - share).add_(share)
    return Fault(name, ("BN102",) if share == 1 else ("BN608", "BN105", "BN603"), broken)


def _swapped(layers: dict[str, Norm], inner: list[str], generator: torch.Generator) -> frozenset[str]:
    """Swap the statistics of two layers of as many channels."""
    pairs = [
        (one, other)
        for place, one in enumerate(inner)
        for other in inner[place + 1 :]
        if layers[one].num_features == layers[other].num_features
    ]
    one, other = pairs[int(torch.randint(len(pairs), (1,), generator=generator))]
    for kind in ("running_mean", "running_var"):
        first, second = (getattr(layers[name], kind) for name in (one, other))
        kept = first.clone()
        first.copy_(second)
        second.copy_(kept)
    return frozenset({one, other})


def _measured_on(net: nn.Module, samples: Samples) -> None:
    """Leave in all layers what the last few samples of a training had: all that a momentum of 0.99 remembers."""
    for norm in norms(net).values():
        norm.momentum = 0.99
    net.train()
    with torch.no_grad():
        for x, _ in samples:
            net(x)
    net.eval()
