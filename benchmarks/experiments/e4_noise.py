"""E4: between two epochs the evaluation error jumps; how much of that is the moving averages?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import nn

import bncheck
from benchmarks.experiments.drawing import band, figure
from benchmarks.experiments.experiment import Experiment, Seen, share_of
from benchmarks.experiments.training import accuracy, digits
from benchmarks.nets import small_net

EPOCHS = 12
FIRST = 2
"""Epochs left out of the numbers: there the network is still learning."""
MOMENTUM = 0.01
RATE = 0.8
BATCH = 32
NAMES = ("moving averages", "recalibrated")


def one(seed: int, effort: float) -> Seen:
    """Train at a high constant rate with a slow average; at the end of every epoch evaluate both ways."""
    torch.manual_seed(seed)
    train, test = digits()
    x, y = train
    net = small_net()
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = MOMENTUM
    optimizer = torch.optim.SGD(net.parameters(), RATE)
    errors: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(share_of(EPOCHS, effort)):
        net.train()
        for batch in torch.randperm(len(y)).split(BATCH):
            if len(batch) == BATCH:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimizer.step()
        net.eval()
        errors[NAMES[0]].append(100 - accuracy(net, test))
        errors[NAMES[1]].append(100 - accuracy(bncheck.recalibrate(net, x, until=0, seed=seed), test))
    numbers = {}
    for name, values in errors.items():
        later = values[FIRST:]
        numbers[f"{name}: mean error"] = statistics.fmean(later)
        numbers[f"{name}: its standard deviation between epochs"] = statistics.stdev(later)
        numbers[f"{name}: worst epoch"] = max(later)
    return Seen(numbers, errors)


def draw(seen: Sequence[Seen]) -> Figure:
    """Error over the epochs: the mean of the seeds in a band, and every seed as a thin line."""
    drawn, axes = figure(9.2, 3.6, "E4: evaluation error at the end of every epoch (digits)", 2)
    for index, name in enumerate(NAMES):
        curves = [one.curves[name] for one in seen]
        epochs = range(1, len(curves[0]) + 1)
        band(axes[index], epochs, curves, name, index)
        for curve in curves:
            axes[index].plot(epochs, curve, color="0.45", linewidth=0.6)
        axes[index].set_yscale("symlog", linthresh=1)
        axes[index].set_ylim(0, 100)
        axes[index].set_yticks([0, 1, 2, 5, 10, 20, 50, 100], ["0", "1", "2", "5", "10", "20", "50", "100"])
        axes[index].set_title(name, fontsize=10)
        axes[index].set_xlabel("epoch")
    axes[0].set_ylabel("test images wrong (%)")
    return drawn


ON_DIGITS = Experiment(
    "E4",
    f"digits, learning rate {RATE}, momentum {MOMENTUM}, epochs {FIRST + 1} to {EPOCHS}",
    "% of the test images wrong",
    one,
    draw,
)
