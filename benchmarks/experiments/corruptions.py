"""What may happen to images on their way to a trained network: corruptions, each at two strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

Change = Callable[[torch.Tensor], torch.Tensor]
"""Images (N, 1, H, W) in 0..1 to the same in 0..1."""


def corruptions(seed: int) -> Mapping[str, Change]:
    """By name; noise and places are drawn from `seed`."""

    def noise(deviation: float) -> Change:
        return lambda x: (x + deviation * torch.randn(x.shape, generator=_drawn(seed))).clamp(0, 1)

    def specks(share: float) -> Change:
        def change(x: torch.Tensor) -> torch.Tensor:
            chance = torch.rand(x.shape, generator=_drawn(seed))
            return torch.where(chance < share / 2, 0.0, torch.where(chance > 1 - share / 2, 1.0, x))

        return change

    return {
        "noise, weak": noise(0.1),
        "noise, strong": noise(0.3),
        "specks, weak": specks(0.05),
        "specks, strong": specks(0.2),
        "blur, weak": lambda x: _blurred(x, 1),
        "blur, strong": lambda x: _blurred(x, 2),
        "contrast, weak": lambda x: 0.5 + 0.6 * (x - 0.5),
        "contrast, strong": lambda x: 0.5 + 0.25 * (x - 0.5),
        "brighter, weak": lambda x: (x + 0.2).clamp(0, 1),
        "brighter, strong": lambda x: (x + 0.5).clamp(0, 1),
        "darker, weak": lambda x: 0.6 * x,
        "darker, strong": lambda x: 0.2 * x,
        "shifted, weak": lambda x: _shifted(x, x.shape[-1] // 8),
        "shifted, strong": lambda x: _shifted(x, x.shape[-1] // 4),
        "coarse": lambda x: _coarse(x),
        "upside down": lambda x: x.flip(-2),
        "inverted": lambda x: 1 - x,
    }


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _blurred(x: torch.Tensor, times: int) -> torch.Tensor:
    kernel = torch.tensor([1.0, 2.0, 1.0])
    kernel = (kernel[:, None] * kernel / 16)[None, None]
    # The same number of pixels means less in a larger picture.
    for _ in range(times * max(x.shape[-1] // 8, 1)):
        x = nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel)
    return x


def _shifted(x: torch.Tensor, pixels: int) -> torch.Tensor:
    moved = torch.zeros_like(x)
    moved[..., pixels:, pixels:] = x[..., :-pixels, :-pixels]
    return moved


def _coarse(x: torch.Tensor) -> torch.Tensor:
    small = nn.functional.avg_pool2d(x, 2 if x.shape[-1] < 16 else 4)
    return nn.functional.interpolate(small, x.shape[-2:], mode="nearest")
