"""Nets whose statistics are those of pictures that were fed in a known way; nothing has to be trained for that."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import nn

SIDE, NUMBER = 32, 256
WAYS: dict[str, tuple[float, tuple[float, ...], tuple[float, ...]]] = {
    "0..1": (1.0, (0.0,), (1.0,)),
    "0..255": (255.0, (0.0,), (1.0,)),
    "-1..1": (1.0, (0.5,), (0.5,)),
    "standardised": (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0..255 less a mean": (255.0, (123.675, 116.28, 103.53), (1.0,)),
}
"""By what is said of them: scale, mean and std."""
MEANS = (0.48, 0.45, 0.4)
"""Of the pictures, red first."""


@cache
def pictures(channels: int = 3, spread: float = 0.28, middle: float = 0.0) -> torch.Tensor:
    """Pixels in 0..1 (N, C, 32, 32) whose power falls with the frequency as in photographs.

    Args:
        channels: 1 or 3, whose colours are alike.
        spread: the standard deviation.
        middle: added to the means.
    """
    rng = np.random.default_rng(1)
    frequencies = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequencies[0, 0] = 1 / SIDE
    mixed = np.linalg.cholesky(np.full((channels, channels), 0.93) + 0.07 * np.eye(channels))
    white = np.einsum("dc,nchw->ndhw", mixed, rng.normal(size=(NUMBER, channels, SIDE, SIDE)))
    values = np.fft.irfft2(np.fft.rfft2(white) * frequencies**-1.2, s=(SIDE, SIDE))
    means = np.array(MEANS[:channels] if channels > 1 else (0.45,)) + middle
    x = spread * values / values.std() + means[None, :, None, None]
    return torch.from_numpy(np.clip(x, 0, 1)).float()


def fed(way: str, channels: int = 3, **of: float) -> torch.Tensor:
    """Pictures fed in that way."""
    scale, mean, std = WAYS[way]
    x = pictures(channels, **of)
    if way == "standardised" and channels == 1:
        return (x - x.mean()) / x.std()
    mean, std = (values if len(values) in (1, channels) else values[1:2] for values in (mean, std))
    return (x * scale - torch.tensor(mean).reshape(1, -1, 1, 1)) / torch.tensor(std).reshape(1, -1, 1, 1)


class Net(nn.Module):
    """A convolution with its norm, then classes."""

    def __init__(self, channels: int = 3, size: int = 3, filters: int = 24) -> None:
        """Random weights, which see smooth things as well as edges."""
        super().__init__()
        self.stem = nn.Conv2d(channels, filters, size, stride=2, padding=size // 2)
        self.norm = nn.BatchNorm2d(filters)
        self.head = nn.Linear(filters, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of four classes."""
        return self.head(torch.relu(self.norm(self.stem(x))).mean((2, 3)))


def net_fed(x: torch.Tensor, size: int = 3, filters: int = 24, seed: int = 0) -> Net:
    """A net in eval mode whose norm stores what it sees of `x`."""
    torch.manual_seed(seed)
    net = Net(x.shape[1], size, filters)
    with torch.no_grad():
        seen = net.stem(x)
        net.norm.running_mean.copy_(seen.mean((0, 2, 3)))
        net.norm.running_var.copy_(seen.var((0, 2, 3)))
        net.norm.bias.normal_()
    net.norm.num_batches_tracked.fill_(500)
    return net.eval()
