"""E3: the smaller the batch, the more its statistics are noise; where does training break, and what bears it?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import nn

import bncheck
from benchmarks.experiments.drawing import band, figure
from benchmarks.experiments.experiment import Experiment, Seen, share_of
from benchmarks.experiments.training import Drawn, accuracy, digits
from bncheck import RenormSchedule, to_batch_renorm

SIZES = (2, 3, 4, 8, 16, 32)
RATE = 0.01
STEPS = 1200
WIDTH = 64
NAMES = ("Batch Normalization", "Batch Normalization, recalibrated", "Batch Renormalization")


def mlp() -> nn.Module:
    """Two hidden layers with BatchNorm1d: no positions to average over, a batch of 2 is two values."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (64, WIDTH):
        layers += [nn.Linear(inputs, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def one(seed: int, effort: float) -> Seen:
    """Both normalizations at every batch size, from the same weights and on the same batches."""
    steps = share_of(STEPS, effort)
    train, test = digits()
    right: dict[str, list[float]] = {name: [] for name in NAMES}
    for size in SIZES:
        plain = _trained(mlp, train, size, steps, seed)
        right[NAMES[0]].append(accuracy(plain, test))
        right[NAMES[1]].append(accuracy(bncheck.recalibrate(plain, train[0], until=0, seed=seed), test))
        schedule = RenormSchedule.for_run(steps)
        renormalized = _trained(lambda s=schedule: to_batch_renorm(mlp(), schedule=s), train, size, steps, seed)
        right[NAMES[2]].append(accuracy(renormalized, test))
    numbers = {f"batches of {size}: {name}": right[name][SIZES.index(size)] for size in (2, 4, 32) for name in NAMES}
    return Seen(numbers, right)


def _trained(build, train, size: int, steps: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = build().train()
    optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9)
    for x, y in itertools.islice(Drawn(train, None, size, steps), steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net.eval()


def draw(seen: Sequence[Seen]) -> Figure:
    """Accuracy over the batch size."""
    drawn, (axes,) = figure(6.2, 3.6, "E3: a network with BatchNorm1d on digits, trained with small batches")
    for index, name in enumerate(NAMES):
        band(axes, SIZES, [one.curves[name] for one in seen], name, index, dashed=index == 1)
    axes.set_xscale("log", base=2)
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.minorticks_off()
    axes.set_xlabel("batch size in training (images)")
    axes.set_ylabel("test images right in eval mode (%)")
    axes.set_ylim(0, 102)
    axes.legend(fontsize=9, frameon=False, loc="lower right")
    return drawn


ON_DIGITS = Experiment(
    "E3", f"an MLP with BatchNorm1d on digits, {STEPS:,} steps", "% of the test images right", one, draw
)
