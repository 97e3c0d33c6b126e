"""E1: normalize by the moving averages in training, and leave them out of the gradient; what happens?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from benchmarks.experiments.drawing import COLOURS, band, figure
from benchmarks.experiments.experiment import Experiment, Seen, share_of
from benchmarks.experiments.training import Drawn, digits
from benchmarks.nets import small_net
from bncheck import RenormSchedule, to_batch_renorm

RATE = 0.7
STEPS = 600
POINTS = 80
CEILING = 1e9
"""What counts for anything larger, and for what is no longer finite."""


class ByAverages(nn.BatchNorm2d):
    """Normalizes by its moving averages in training too, without gradient through them.

    With `momentum=1` the averages are the batch's own statistics: the forward pass of BatchNorm, only that
    the gradient takes them for constants.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        if self.training:
            with torch.no_grad():
                var, mean = torch.var_mean(x, (0, 2, 3), correction=0)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var, self.momentum)
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def by_averages(net: nn.Sequential, momentum: float) -> nn.Sequential:
    """The same network with `ByAverages` for BatchNorm."""
    layers = (ByAverages(m.num_features, m.eps, momentum) if isinstance(m, nn.BatchNorm2d) else m for m in net)
    return nn.Sequential(*layers)


def _renormalized(net: nn.Sequential, steps: int) -> nn.Module:
    return to_batch_renorm(net, schedule=RenormSchedule.for_run(steps))


VARIANTS: dict[str, Callable[[nn.Sequential, int], nn.Module]] = {
    "moving averages, alpha 0.01": lambda net, _: by_averages(net, 0.01),
    "moving averages, alpha 0.1": lambda net, _: by_averages(net, 0.1),
    "batch statistics as constants": lambda net, _: by_averages(net, 1.0),
    "Batch Normalization": lambda net, _: net,
    "Batch Renormalization": _renormalized,
}


def one(seed: int, effort: float) -> Seen:
    """Every way of normalizing from the same weights, on the same batches."""
    steps = share_of(STEPS, effort)
    train, _ = digits()
    numbers, curves = {}, {}
    for name, built in VARIANTS.items():
        torch.manual_seed(seed)
        net = built(small_net(), steps).train()
        optimizer = torch.optim.SGD(net.parameters(), RATE)
        losses, norms = [], []
        for x, y in itertools.islice(Drawn(train, None, 32, steps), steps):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(_held(float(loss.detach())))
            norms.append(_held(_weight_norm(net)))
        every = max(steps // POINTS, 1)
        last = max(steps // 10, 1)
        numbers[f"{name}: loss at the end"] = float(np.exp(np.log(losses[-last:]).mean()))
        numbers[f"{name}: weights at the end"] = norms[-1]
        curves[f"loss, {name}"] = [float(np.exp(np.log(losses[i : i + every]).mean())) for i in range(0, steps, every)]
        curves[f"norm, {name}"] = norms[every - 1 :: every]
    return Seen(numbers, curves)


def _weight_norm(net: nn.Module) -> float:
    """Euclidean norm of all convolutions' weights."""
    weights = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d)]
    return math.sqrt(sum(float(weight.detach().double().square().sum()) for weight in weights))


def _held(value: float) -> float:
    return min(max(value, 1e-6), CEILING) if math.isfinite(value) else CEILING


def draw(seen: Sequence[Seen]) -> Figure:
    """Loss and weight norm over the steps, both logarithmic."""
    drawn, axes = figure(9.2, 4.0, "E1: what the gradient has to know about the normalization (digits)", 2)
    for side, (quantity, label) in enumerate(
        (("loss", "training loss (nats)"), ("norm", "norm of the convolutions' weights"))
    ):
        for index, name in enumerate(VARIANTS):
            curves = np.array([one.curves[f"{quantity}, {name}"] for one in seen])[:, ::2]
            steps = np.linspace(0, STEPS, curves.shape[1], endpoint=False)
            if name.startswith("moving"):  # some runs explode and some do not: a band would show neither
                axes[side].plot(steps, curves.T, color=COLOURS[index], alpha=0.5, linewidth=0.9)
                axes[side].plot([], [], color=COLOURS[index], label=f"{name} (every seed)", linewidth=0.9)
            else:
                band(axes[side], steps, curves, name, index, logarithmic=True)
        axes[side].set_yscale("log")
        axes[side].minorticks_off()
        axes[side].set_ylim(top=3 * CEILING)
        axes[side].set_xlabel("steps")
        axes[side].set_ylabel(label)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return drawn


ON_DIGITS = Experiment(
    "E1",
    f"digits, {STEPS} steps of SGD at learning rate {RATE}",
    "geometric means, nothing counted above 1e9",
    one,
    draw,
    form=".2g",
    geometric=True,
)
