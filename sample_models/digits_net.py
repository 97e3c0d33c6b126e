"""The network of the samples: a small residual classifier of 8x8 digits (33,000 parameters)."""

import torch
from torch import nn


class ConvNorm(nn.Sequential):
    """3x3 convolution, BatchNorm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.ReLU()


class Residual(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNorm(channels, channels), ConvNorm(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W) in and out."""
        return x + self.body(x)


class DigitsNet(nn.Module):
    """Images (N, 1, 8, 8) with values in 0..1 to scores (N, 10)."""

    def __init__(self, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.stem = ConvNorm(1, width)
        self.blocks = nn.Sequential(Residual(width), ConvNorm(width, 2 * width, stride=2), Residual(2 * width))
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of the ten digits."""
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def build(width: int = 16) -> DigitsNet:
    """What `--arch sample_models/digits_net.py:build` calls."""
    return DigitsNet(width)
