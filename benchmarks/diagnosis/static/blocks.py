"""Blocks of networks, as the architectures that they are named after have them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Act = Callable[[], nn.Module]


def unit(inputs: int, outputs: int, stride: int = 1, act: Act = nn.ReLU, *, size: int = 3) -> list[nn.Module]:
    """Convolution, BatchNorm, activation."""
    return [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), act()]


class Inverted(nn.Module):
    """MobileNetV2's block: wide, depthwise, narrow without an activation, and around it where it may be."""

    def __init__(self, inputs: int, outputs: int, stride: int, act: Act) -> None:
        super().__init__()
        wide = 4 * inputs
        apart = [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), act()]
        narrow = [nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*unit(inputs, wide, act=act, size=1), *apart, *narrow)
        self.around = inputs == outputs and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        return x + self.conv(x) if self.around else self.conv(x)


class NormFirst(nn.Module):
    """A block whose norms and activations come before its convolutions (He et al. 2016b)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        inner = torch.relu(self.bn1(x))
        around = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(inner)
        return self.conv2(torch.relu(self.bn2(self.conv1(inner)))) + around


class Growing(nn.Module):
    """A layer of a DenseNet: what it makes is put beside what it was given."""

    def __init__(self, inputs: int, grown: int = 8) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * grown, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * grown), nn.Conv2d(4 * grown, grown, 3, 1, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        inner = torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x)))))
        return torch.cat([x, self.conv2(inner)], 1)


class Named(nn.Module):
    """`conv1`, `bn1`, `conv2`, ... of one module, whose `forward` pools, gates or adds behind some of them."""

    def __init__(
        self, pooled: tuple[int, ...] = (), *, gated: tuple[int, ...] = (), added: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.pooled, self.gated, self.added = pooled, gated, added
        for index in range(1, 8):
            self.add_module(f"conv{index}", nn.Conv2d(3 if index == 1 else 24, 24, 3, 1, 1))
            self.add_module(f"bn{index}", nn.BatchNorm2d(24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        for index in range(1, 8):
            before = x
            x = torch.relu(self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(x)))
            if index in self.added:
                x = x + before
            if index in self.pooled:
                x = nn.functional.max_pool2d(x, 2)
            if index in self.gated:
                x = x * torch.sigmoid(x.mean((2, 3), keepdim=True))
        return x
