"""Networks with gammas and betas as training leaves them, and the statistics of what they are fed: nothing is trained.

From other folders: `from tests.weights.block_nets import plain, measured`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import nn

from benchmarks.diagnosis.static.blocks import Growing

SIDE = 12
Act = Callable[[], nn.Module]


def unit(inputs: int, outputs: int, stride: int = 1, act: Act = nn.ReLU, groups: int = 1) -> list[nn.Module]:
    """Convolution, BatchNorm, activation."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), act()]


def plain(act: Act = nn.ReLU, depth: int = 8, *, norm_last: bool = False) -> nn.Sequential:
    """One unit after the other; with `norm_last` the norm follows the activation."""
    layers: list[nn.Module] = []
    for index in range(depth):
        conv, norm, activation = unit(24 if index else 3, 24, act=act)
        layers += [conv, activation, norm] if norm_last else [conv, norm, activation]
    return nn.Sequential(*layers)


class Block(nn.Module):
    """Two convolutions around which the input goes; before the activation is the norm, or `first` before each."""

    def __init__(self, width: int, *, first: bool = False) -> None:
        super().__init__()
        self.first = first
        if first:
            self.bn1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, 1, 1, bias=False)
        else:
            self.conv1, self.bn1 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:
            inner = self.conv1(torch.relu(self.bn1(x)))
            return x + self.conv2(torch.relu(self.bn2(inner)))
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(inner)))


def residual(blocks: int = 7, *, first: bool = False) -> nn.Sequential:
    """Blocks behind a stem."""
    stem = [nn.Conv2d(3, 24, 3, 1, 1, bias=False)] if first else unit(3, 24)
    return nn.Sequential(*stem, *(Block(24, first=first) for _ in range(blocks)))


def depthwise(blocks: int = 6) -> nn.Sequential:
    """Depthwise and pointwise convolutions in turn, each pair in a container of its own."""
    pairs = [
        nn.Sequential(*unit(24, 24, act=nn.ReLU6, groups=24), nn.Conv2d(24, 24, 1, bias=False), nn.BatchNorm2d(24))
        for _ in range(blocks)
    ]
    return nn.Sequential(*unit(3, 24), *pairs)


def dense(layers: int = 6) -> nn.Sequential:
    """Layers that are given all that came before."""
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), *(Growing(16 + 8 * index) for index in range(layers)))


def mlp(depth: int = 7) -> nn.Sequential:
    """Linear layers and BatchNorm1d."""
    layers: list[nn.Module] = [nn.Flatten()]
    for index in range(depth):
        layers += [nn.Linear(32 if index else 3 * SIDE * SIDE, 32), nn.BatchNorm1d(32), nn.ReLU()]
    return nn.Sequential(*layers)


def generator(depth: int = 6) -> nn.Sequential:
    """Transposed convolutions of as many channels in as out."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.ConvTranspose2d(24 if index else 3, 24, 3, 1, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU()]
    return nn.Sequential(*layers)


def norms(net: nn.Module) -> list[nn.Module]:
    """The BatchNorm layers, in the order they are declared."""
    return [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@lru_cache
def samples() -> torch.Tensor:
    """Smooth noise, shape (32, 3, 12, 12), as pictures are."""
    rough = torch.randn(32, 3, SIDE // 3, SIDE // 3, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(rough, SIDE, mode="bilinear") + 0.3


def measured(net: nn.Module, seed: int = 0, *, eps: float = 1e-5, size: float | None = None) -> nn.Module:
    """The net with gammas and betas drawn, and with the statistics of what its layers are fed; in eval mode.

    Args:
        net: changed in place.
        seed: of what is drawn.
        eps: of every layer.
        size: of the variances, about; weights are drawn so small. `None`: as they come.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        if parameter.dim() > 1:
            shape = parameter.shape
            fan = parameter[0].numel()
            parameter.data = (
                torch.randn(shape, generator=generator) * (2 / fan) ** 0.5 * (1.0 if size is None else size**0.5)
            )
    for norm in norms(net):
        norm.weight.data = 0.4 + 0.8 * torch.rand(norm.weight.shape, generator=generator)
        norm.bias.data = 0.4 * torch.randn(norm.bias.shape, generator=generator)
        norm.eps = eps
    return remeasured(net)


def remeasured(net: nn.Module) -> nn.Module:
    """The net with the statistics of what its layers are fed, whatever they were; in eval mode."""
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        net.train()(samples())
    for norm in norms(net):
        norm.momentum = 0.1
        norm.num_batches_tracked.fill_(1000)
    return net.eval()


def moved(net: nn.Module, which: Iterator[int] | list[int], deviations: float) -> nn.Module:
    """The net with noise of so many deviations in the means of those layers, by their place."""
    for index in which:
        norm = norms(net)[index]
        noise = torch.randn(norm.running_mean.shape, generator=torch.Generator().manual_seed(index))
        norm.running_mean += deviations * norm.running_var.sqrt() * noise
    return net
