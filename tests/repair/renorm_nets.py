"""Networks and formulas that the tests of Batch Renormalization share."""

from __future__ import annotations

import torch
from torch import nn


def formula(layer: nn.Module, x: torch.Tensor, r_max: float, d_max: float) -> torch.Tensor:
    """Batch Renormalization as Ioffe 2017 writes it (algorithm 1), by plain autograd and the layer's averages."""
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean = x.mean(axes)
    std = (layer.eps + (x - mean.view(shape)).square().mean(axes)).sqrt()
    r = (std / layer.running_std).clamp(1 / r_max, r_max).detach().view(shape)
    d = ((mean - layer.running_mean) / layer.running_std).clamp(-d_max, d_max).detach().view(shape)
    return layer.weight.view(shape) * ((x - mean.view(shape)) / std.view(shape) * r + d) + layer.bias.view(shape)


def randomized(module: nn.Module, seed: int = 0) -> nn.Module:
    """Parameters and statistics that no initialization has, in place."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if not tensor.is_floating_point() or name.endswith("clipped"):
                continue
            values = torch.rand(tensor.shape, generator=generator).to(tensor.dtype)
            is_positive = name.endswith(("running_var", "running_std")) or (
                name.endswith("weight") and tensor.dim() == 1
            )
            tensor.copy_(values + 0.5 if is_positive else values - 0.5)
    return module


class Configured(nn.BatchNorm2d):
    """Only configures BatchNorm, as many code bases do."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.03)


class NormAct(nn.BatchNorm2d):
    """Normalizes and activates in one forward, as image model libraries do."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(super().forward(x))


class Nested(nn.Module):
    """BatchNorm of every dimension, one of them used twice, one frozen, one without statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=1e-3, momentum=0.03))
        self.shared = nn.BatchNorm2d(4)
        self.again = self.shared
        self.frozen = nn.BatchNorm2d(4).requires_grad_(False)
        self.no_statistics = nn.BatchNorm2d(4, track_running_stats=False)
        self.volume = nn.BatchNorm3d(4, affine=False)
        self.head = nn.ModuleDict({"bn": nn.BatchNorm1d(4), "fc": nn.Linear(4, 3)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, 1, H, W) to (N, 3)."""
        x = self.frozen(self.again(torch.relu(self.shared(self.stem(x)))))
        x = self.volume(self.no_statistics(x).unsqueeze(2)).squeeze(2)
        return self.head["fc"](self.head["bn"](x.mean((2, 3))))
