"""Healthy networks deep enough that layers fed alike can be judged by each other, and how they are trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from benchmarks.diagnosis.data import Task
from benchmarks.diagnosis.static.blocks import Act, Growing, Inverted, Named, NormFirst, unit
from benchmarks.nets import BasicBlock

WIDTH = 16


def head(channels: int) -> list[nn.Module]:
    """The mean over the positions, and ten classes."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def residual(channels: int, blocks: int = 5) -> nn.Module:
    """A ResNet of three stages."""
    layers, width = unit(channels, WIDTH), WIDTH
    for outputs, stride in ((WIDTH, 1), (2 * WIDTH, 2), (4 * WIDTH, 2)):
        for index in range(blocks):
            layers.append(BasicBlock(width, outputs, 1 if index else stride))
            width = outputs
    return nn.Sequential(*layers, *head(width))


def plain(channels: int, act: Act = nn.ReLU, *, dropout: float = 0.0) -> nn.Module:
    """Eight units one after the other."""
    layers, width = [], channels
    for outputs, stride in ((16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        layers += unit(width, outputs, stride, act)
        layers += [nn.Dropout2d(dropout)] if dropout else []
        width = outputs
    return nn.Sequential(*layers, *head(width))


def after_activation(channels: int) -> nn.Module:
    """Eight units whose norm is behind their activation."""
    layers, width = [], channels
    for outputs, stride in ((16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1)):
        layers += [nn.Conv2d(width, outputs, 3, stride, 1), nn.ReLU(), nn.BatchNorm2d(outputs)]
        width = outputs
    return nn.Sequential(*layers, *head(width))


def inverted(channels: int, act: Act = nn.ReLU6) -> nn.Module:
    """Seven of them."""
    layers, width = unit(channels, 12, act=act), 12
    for outputs, stride in ((12, 1), (16, 2), (16, 1), (16, 1), (24, 2), (24, 1), (24, 1)):
        layers.append(Inverted(width, outputs, stride, act))
        width = outputs
    return nn.Sequential(*layers, *unit(width, 64, act=act, size=1), *head(64))


def growing(channels: int) -> nn.Module:
    """A DenseNet of eight layers with a transition between."""
    layers: list[nn.Module] = [nn.Conv2d(channels, WIDTH, 3, 1, 1, bias=False)]
    width = WIDTH
    for block in range(2):
        for _ in range(4):
            layers.append(Growing(width))
            width += 8
        if not block:
            layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width // 2, 1), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), *head(width))


def norm_first(channels: int) -> nn.Module:
    """Nine such blocks."""
    layers: list[nn.Module] = [nn.Conv2d(channels, WIDTH, 3, 1, 1, bias=False)]
    width = WIDTH
    for outputs, stride in ((WIDTH, 1), (2 * WIDTH, 2), (4 * WIDTH, 2)):
        for index in range(3):
            layers.append(NormFirst(width, outputs, 1 if index else stride))
            width = outputs
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), *head(width))


def mlp(channels: int) -> nn.Module:
    """Seven linear layers with BatchNorm1d."""
    layers: list[nn.Module] = [nn.Flatten(), nn.LazyLinear(64), nn.BatchNorm1d(64), nn.ReLU()]
    for _ in range(6):
        layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def named(channels: int, pooled: tuple[int, ...], gated: tuple[int, ...] = ()) -> nn.Module:
    """Layers named alike, between some of which the code pools or gates."""
    return nn.Sequential(nn.Conv2d(channels, 3, 1), Named(pooled, gated=gated), *head(24))


@dataclass(frozen=True, slots=True)
class Recipe:
    """A network and how it is trained.

    Attributes:
        build: by the channels of its input.
        training: what differs from `fit`'s defaults.
        judged: whether its statistics can be predicted; else it must be left alone.
    """

    build: Callable[[int], nn.Module]
    training: Mapping[str, Any] = field(default_factory=dict)
    judged: bool = True


HIGH = {"rate": 0.5, "schedule": False}
RECIPES: dict[str, Recipe] = {
    "ResNet": Recipe(residual),
    "ResNet, high rate": Recipe(residual, HIGH),
    "ResNet, no weight decay": Recipe(residual, {"decay": 0.0}),
    "ResNet, batches of 8": Recipe(residual, {"batch": 8}),
    "plain, ReLU": Recipe(plain),
    "plain, ReLU, high rate": Recipe(plain, HIGH),
    "plain, Adam": Recipe(plain, {"adam": True}),
    "plain, dropout": Recipe(lambda channels: plain(channels, dropout=0.2)),
    "plain, SiLU": Recipe(lambda channels: plain(channels, nn.SiLU)),
    "plain, leaky ReLU": Recipe(lambda channels: plain(channels, lambda: nn.LeakyReLU(0.1))),
    "plain, GELU": Recipe(lambda channels: plain(channels, nn.GELU)),
    "MobileNetV2": Recipe(inverted),
    "MobileNetV2, high rate": Recipe(inverted, HIGH),
    "MobileNet, Hardswish": Recipe(lambda channels: inverted(channels, nn.Hardswish)),
    "DenseNet": Recipe(growing),
    "DenseNet, high rate": Recipe(growing, HIGH),
    "norm first": Recipe(norm_first),
    "norm first, no weight decay": Recipe(norm_first, {"decay": 0.0}),
    "MLP": Recipe(mlp),
    "MLP, high rate": Recipe(mlp, HIGH),
    "pooled in code once": Recipe(lambda channels: named(channels, (4,))),
    "pooled and gated in code": Recipe(lambda channels: named(channels, (3, 5), (2,))),
    "norm behind ReLU": Recipe(after_activation, judged=False),
    "norm behind ReLU, high rate": Recipe(after_activation, HIGH, judged=False),
}


def trained(recipe: Recipe, task: Task, seed: int, steps: int) -> tuple[nn.Module, nn.Module]:
    """The network in eval mode, and beside it averaged weights with the buffers of the raw ones."""
    torch.manual_seed(seed)
    net = recipe.build(task.channels)
    net(task.x[:2])
    return fit(net, task, seed, steps, **recipe.training)


def fit(
    net: nn.Module,
    task: Task,
    seed: int,
    steps: int,
    *,
    batch: int = 64,
    rate: float = 0.1,
    decay: float = 5e-4,
    schedule: bool = True,
    adam: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Train in place on shuffled batches; gives the net, and an average of its weights with its own buffers."""
    generator = torch.Generator().manual_seed(seed)
    by_adam = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=decay)
    by_sgd = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=decay)
    optimizer = by_adam if adam else by_sgd
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if schedule else None
    average = copy.deepcopy(net)
    net.train()
    for _ in range(steps):
        chosen = torch.randint(len(task.y), (batch,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(task.x[chosen]), task.y[chosen]).backward()
        optimizer.step()
        if rates is not None:
            rates.step()
        with torch.no_grad():
            for mine, new in zip(average.parameters(), net.parameters(), strict=True):
                mine.lerp_(new, 0.02)
    for mine, new in zip(average.buffers(), net.buffers(), strict=True):
        mine.copy_(new)
    return net.eval(), average.eval()
