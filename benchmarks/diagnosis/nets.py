"""Eight kinds of healthy networks, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.diagnosis.data import Task
from benchmarks.nets import BasicBlock

WIDTH = 16


def _block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def conv(channels: int, side: int) -> nn.Module:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(*_block(channels, WIDTH, 1), *_block(WIDTH, 32, 2), *_block(32, 32, 1), *_head(32))


def residual(channels: int, side: int) -> nn.Module:
    """Shortcuts around pairs of convolutions."""
    blocks = (BasicBlock(WIDTH, WIDTH, 1), BasicBlock(WIDTH, 32, 2), BasicBlock(32, 32, 1))
    return nn.Sequential(*_block(channels, WIDTH, 1), *blocks, *_head(32))


def mlp(channels: int, side: int) -> nn.Module:
    """Linear layers and BatchNorm1d."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (channels * side * side, 64):
        layers += [nn.Linear(inputs, 64), nn.BatchNorm1d(64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def after_relu(channels: int, side: int) -> nn.Module:
    """BatchNorm behind the activation."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((channels, WIDTH, 1), (WIDTH, 32, 2), (32, 32, 1)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *_head(32))


def depthwise(channels: int, side: int) -> nn.Module:
    """Depthwise and pointwise convolutions in turn."""
    layers = _block(channels, WIDTH, 1)
    for inputs, outputs, stride in ((WIDTH, 32, 2), (32, 32, 1)):
        apart = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        layers += [apart, nn.BatchNorm2d(inputs), nn.ReLU()]
        layers += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, *_head(32))


def input_norm(channels: int, side: int) -> nn.Module:
    """BatchNorm on the input itself."""
    return nn.Sequential(nn.BatchNorm2d(channels), *conv(channels, side))


def norm_first(channels: int, side: int) -> nn.Module:
    """BatchNorm and ReLU before each convolution but the first."""
    layers: list[nn.Module] = [nn.Conv2d(channels, WIDTH, 3, 1, 1, bias=False)]
    for inputs, outputs, stride in ((WIDTH, 32, 2), (32, 32, 1)):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)]
    return nn.Sequential(*layers, nn.BatchNorm2d(32), nn.ReLU(), *_head(32))


def slow_average(channels: int, side: int) -> nn.Module:
    """Momentum 0.01, with a plain layer without bias behind the last norm."""
    net = conv(channels, side)
    for norm in norms(net):
        norm.momentum = 0.01
    return net


NETS: dict[str, Callable[[int, int], nn.Module]] = {
    "conv": conv,
    "residual": residual,
    "mlp": mlp,
    "after_relu": after_relu,
    "depthwise": depthwise,
    "input_norm": input_norm,
    "norm_first": norm_first,
    "slow_average": slow_average,
}


def norms(net: nn.Module) -> list[nn.Module]:
    """The BatchNorm layers, in the order they are declared."""
    return [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def trained(kind: str, task: Task, seed: int, *, steps: int = 600, batch: int = 32, rate: float = 0.05) -> nn.Module:
    """A net trained by SGD with a cosine schedule on shuffled batches, in eval mode."""
    torch.manual_seed(seed)
    net = NETS[kind](task.channels, task.x.shape[-1])
    return fit(net, task.x, task.y, seed, steps=steps, batch=batch, rate=rate)


def fit(
    net: nn.Module, x: torch.Tensor, y: torch.Tensor, seed: int, *, steps: int, batch: int, rate: float
) -> nn.Module:
    """Train in place on shuffled batches; gives the net in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    net.train()
    for _ in range(steps):
        chosen = torch.randint(len(y), (batch,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()
