"""Small nets and deep ones, a few for each kind of task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from benchmarks.diagnosis.tasks.problems import CLASSES
from benchmarks.nets import BasicBlock

WIDTH = 16


def _conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1, kernel: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


def _pooled(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs))


def plain(channels: int, outputs: int) -> nn.Module:
    """Five convolutions."""
    sizes = ((channels, WIDTH, 1), (WIDTH, WIDTH, 1), (WIDTH, 24, 2), (24, 24, 1), (24, 24, 1))
    return nn.Sequential(*(_conv(*size) for size in sizes), _pooled(24, outputs))


def residual(channels: int, outputs: int) -> nn.Module:
    """Seven blocks, 16 norms."""
    widths = [WIDTH] * 4 + [24] * 4
    blocks = (BasicBlock(a, b, 1 if a == b else 2) for a, b in pairwise(widths))
    return nn.Sequential(_conv(channels, WIDTH), *blocks, _pooled(24, outputs))


def mobile(channels: int, outputs: int) -> nn.Module:
    """Depthwise and pointwise convolutions in turn."""
    layers = [_conv(channels, WIDTH)]
    for inputs, wide, stride in ((WIDTH, 24, 2), (24, 32, 1), (32, 32, 1)):
        layers += [_conv(inputs, inputs, stride, groups=inputs), _conv(inputs, wide, kernel=1)]
    return nn.Sequential(*layers, _pooled(32, outputs))


class UNet(nn.Module):
    """Down and up again, with shortcuts across."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.first = _conv(channels, WIDTH)
        self.down = nn.Sequential(nn.MaxPool2d(2), _conv(WIDTH, 24), _conv(24, 24))
        self.deep = nn.Sequential(nn.MaxPool2d(2), _conv(24, 32), _conv(32, 24))
        self.up = _conv(48, WIDTH)
        self.last = _conv(2 * WIDTH, WIDTH)
        self.head = nn.Conv2d(WIDTH, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores for every pixel."""
        fine = self.first(x)
        middle = self.down(fine)
        up = nn.functional.interpolate(self.deep(middle), scale_factor=2.0)
        up = nn.functional.interpolate(self.up(torch.cat([middle, up], 1)), scale_factor=2.0)
        return self.head(self.last(torch.cat([fine, up], 1)))


def flat(channels: int, outputs: int) -> nn.Module:
    """Five convolutions at full size."""
    layers = [_conv(channels, WIDTH), *(_conv(WIDTH, WIDTH) for _ in range(4))]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, outputs, 1))


def sequence(channels: int, outputs: int) -> nn.Module:
    """Five convolutions along time."""
    layers: list[nn.Module] = []
    for inputs, wide, stride in ((channels, WIDTH, 1), (WIDTH, WIDTH, 1), (WIDTH, 24, 2), (24, 24, 1), (24, 24, 1)):
        layers += [nn.Conv1d(inputs, wide, 5, stride, 2, bias=False), nn.BatchNorm1d(wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(24, outputs))


def dense(channels: int, outputs: int) -> nn.Module:
    """Five linear layers with a norm each."""
    layers: list[nn.Module] = []
    for inputs in (channels, 32, 32, 32, 32):
        layers += [nn.Linear(inputs, 32), nn.BatchNorm1d(32), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, outputs))


@dataclass(frozen=True, slots=True)
class Kind:
    """A net and what it is trained for.

    Attributes:
        problem: by its name.
        build: gives the net, untrained, for so many channels and outputs.
        channels, outputs: of it.
        given: how it is inspected: `labels`, `no labels`, `batch of 1` or `one by one`.
        steps, rate: of the training.
    """

    problem: str
    build: Callable[[int, int], nn.Module]
    channels: int
    outputs: int
    given: str = "labels"
    steps: int = 250
    rate: float = 0.01


KINDS = {
    "lesion unet": Kind("rare segment", UNet, 1, 2),
    "multi-label plain": Kind("multi-label", plain, 3, CLASSES),
    "regression residual": Kind("numbers", residual, 1, 3),
    "unlabelled plain": Kind("classes", plain, 3, CLASSES, "no labels"),
    "batch of 1 mobile": Kind("classes", mobile, 3, CLASSES, "batch of 1"),
    "one by one": Kind("uneven", sequence, 2, CLASSES, "one by one"),
    "lesion flat": Kind("rare mask", flat, 1, 1),
    "multi-label residual": Kind("multi-label", residual, 3, CLASSES),
    "regression plain": Kind("numbers", plain, 1, 3),
    "denoising unet": Kind("images", UNet, 3, 3),
    "unlabelled residual": Kind("classes", residual, 3, CLASSES, "no labels"),
    "batch of 1 plain": Kind("classes", plain, 3, CLASSES, "batch of 1"),
    "padded": Kind("padded", sequence, 2, CLASSES),
    "table": Kind("rare yes", dense, 20, 1, steps=800),
    "classes mobile": Kind("classes", mobile, 3, CLASSES),
}
"""The first six are those the rules were written by."""
SEEN = tuple(KINDS)[:6]
MENDED_BY = frozenset({*SEEN, "padded"})
"""Kinds of which a net, of whatever seed, has had a rule mended; the rules had not seen the others."""
