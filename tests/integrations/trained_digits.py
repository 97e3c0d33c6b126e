"""Digits, a small BatchNorm network, and the plain training that callbacks must not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SAMPLES = Path(__file__).parents[2] / "sample_models"
Data = tuple[torch.Tensor, torch.Tensor]


def digits(part: str, count: int | None = None) -> Data:
    """Images (N, 1, 8, 8) and labels."""
    with np.load(SAMPLES / f"digits_{part}.npz") as arrays:
        return torch.from_numpy(arrays["x"])[:count], torch.from_numpy(arrays["y"])[:count]


def small_net(*, dropout: float = 0.2, momentum: float = 0.1) -> nn.Sequential:
    """Two blocks of convolution and BatchNorm; dropout draws random numbers in training."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8, momentum=momentum), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16, momentum=momentum), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )


def loader(data: Data, *, shuffle: bool = False, batch_size: int = 32) -> DataLoader[tuple[torch.Tensor, ...]]:
    """As people write it."""
    return DataLoader(TensorDataset(*data), batch_size=batch_size, shuffle=shuffle)


def same_states(one: nn.Module, other: nn.Module) -> bool:
    """Whether parameters, buffers and modes are equal to the last bit."""
    states = one.state_dict(), other.state_dict()
    modes = [[child.training for child in net.modules()] for net in (one, other)]
    alike = states[0].keys() == states[1].keys() and all(torch.equal(states[0][n], states[1][n]) for n in states[0])
    return alike and modes[0] == modes[1]


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    """What an optimizer trains."""
    return {name: value.detach().clone() for name, value in net.named_parameters()}
