"""Networks in which layers feed each other through every kind of edge: `from tests.weights.wired_nets import EDGES`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tests.weights.block_nets import SIDE, depthwise, generator, mlp, plain, residual, unit

WIDTH = 24


class Through(nn.Module):
    """A unit whose output goes through something without weights, which is a module or any function."""

    def __init__(self, inputs: int, what: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.unit = nn.Sequential(*unit(inputs, WIDTH))
        self.what = what

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.what(self.unit(x))


class Beside(nn.Module):
    """Two units beside each other, whose outputs are joined or added, and a pointwise convolution with its norm."""

    def __init__(self, inputs: int, *, added: bool = False) -> None:
        super().__init__()
        self.one, self.other = nn.Sequential(*unit(inputs, WIDTH)), nn.Sequential(*unit(inputs, WIDTH))
        self.conv = nn.Conv2d(WIDTH if added else 2 * WIDTH, WIDTH, 1)
        self.bn = nn.BatchNorm2d(WIDTH)
        self.added = added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.one(x), self.other(x)
        inner = one + other if self.added else torch.cat([one, other], 1)
        return torch.relu(self.bn(self.conv(inner)))


class Halves(nn.Module):
    """One half of the channels goes through a convolution, as in ShuffleNetV2 and in cross-stage partial networks."""

    def __init__(self, *, chunked: bool = True) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(WIDTH // 2, WIDTH // 2, 3, 1, 1), nn.BatchNorm2d(WIDTH // 2)
        self.chunked = chunked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x[:, :12], x[:, 12:]
        if self.chunked:
            left, right = x.chunk(2, 1)
        return torch.cat([left, torch.relu(self.bn(self.conv(right)))], 1)


class Flat(nn.Module):
    """Positions that become channels of a linear layer, and are made positions again."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Sequential(*unit(4, 4))
        self.linear, self.bn = nn.Linear(4 * SIDE**2, 4 * SIDE**2), nn.BatchNorm1d(4 * SIDE**2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.linear(self.unit(x).flatten(1))).unflatten(1, (4, SIDE, SIDE))


def through(what: Callable[[torch.Tensor], torch.Tensor], blocks: int = 7) -> nn.Sequential:
    """So many units with that behind each."""
    return nn.Sequential(*(Through(WIDTH if index else 3, what) for index in range(blocks)))


def grouped(blocks: int = 7) -> nn.Sequential:
    """Convolutions of three groups."""
    return nn.Sequential(*unit(3, WIDTH), *(part for _ in range(blocks) for part in unit(WIDTH, WIDTH, groups=3)))


def beside(*, added: bool = False) -> nn.Sequential:
    """Seven such blocks."""
    return nn.Sequential(*(Beside(WIDTH if index else 3, added=added) for index in range(7)))


EDGES: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "a layer": (plain, "13", "ReLU of norm > 3x3 padded (ReLU)"),
    "residual sum": (lambda: residual(9), "7.bn1", "ReLU of sum > 3x3 padded (ReLU)"),
    "pre-activation sum": (lambda: nn.Sequential(*unit(3, 24), *residual(8, first=True)[1:]), "7.bn1", "sum > nothing"),
    "sum of units": (lambda: beside(added=True), "3.bn", "sum > pointwise (linear)"),
    "joined": (beside, "3.bn", "joined > pointwise (ReLU)"),
    "part of the channels": (
        lambda: nn.Sequential(*unit(3, WIDTH), *(part for _ in range(7) for part in (*unit(WIDTH, WIDTH), Halves()))),
        "10.bn",
        "part of ReLU of norm > 3x3 padded (ReLU)",
    ),
    "average": (lambda: through(nn.AvgPool2d(3, 1, 1, count_include_pad=False)), "3.unit.1", "average of ReLU of norm"),
    "average of all": (lambda: through(lambda x: x + x.mean((2, 3), keepdim=True)), "3.unit.1", "sum > 3x3 padded"),
    "upsampling": (lambda: through(nn.Upsample((SIDE, SIDE))), "3.unit.1", "average of ReLU of norm > 3x3 padded"),
    "dropout": (lambda: through(nn.Dropout2d(0.0)), "3.unit.1", "ReLU of norm > 3x3 padded (ReLU)"),
    "zeros around": (lambda: through(nn.ZeroPad2d(1)), "3.unit.1", "ReLU of norm > 3x3 padded (ReLU)"),
    "constants": (lambda: through(lambda x: 0.5 * x + 0.1), "3.unit.1", "scaled ReLU of norm > 3x3 padded (linear)"),
    "SiLU by hand": (lambda: through(lambda x: x * torch.sigmoid(x)), "3.unit.1", "SiLU of ReLU of norm"),
    "depthwise": (depthwise, "4.1", "depthwise 3x3 padded"),
    "grouped": (grouped, "13", "ReLU of norm > grouped 3x3 padded (ReLU)"),
    "transposed": (lambda: generator(8), "13", "ReLU of norm > transposed 3x3 padded (ReLU)"),
    "linear": (mlp, "11", "ReLU of norm > linear (ReLU)"),
}
"""By what stands between: a network, a layer behind that edge, and how the edge is called."""
