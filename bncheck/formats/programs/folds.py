"""Layers that were folded into the convolutions of torch programs: seen through and answered for."""

from __future__ import annotations

import numpy as np
import torch

from bncheck.formats.folding import Fold
from bncheck.formats.programs.calls import normalize
from bncheck.watch import Statistics

AFFINE = frozenset(
    f"aten::{name}"
    for name in (
        *("conv1d", "conv2d", "conv3d", "convolution", "_convolution", "convolution_overrideable"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("linear", "addmm"),
    )
)
"""Operators that layers are folded into, as they reach the dispatcher."""


_LINEAR = ("aten::linear", "aten::addmm")


def fits(fold: Fold, operator: str, output: torch.Tensor) -> bool:
    """Whether the operation's output is laid out as the layer's input was: (N, C, *spatial), without axes between."""
    ranks = (2,) if operator in _LINEAR else range(3, 6)
    return output.dim() in ranks and output.shape[1] == fold.layer.channels


def normalized_again(fold: Fold, output: torch.Tensor, statistics: Statistics) -> torch.Tensor:
    """What the operation had given with `statistics` folded in, from what it gave."""
    slope, offset = (torch.from_numpy(values) for values in fold.inverse())
    none, one = torch.zeros_like(slope), torch.ones_like(slope)
    fed = normalize(output, none, one, slope, offset, 0.0)
    gamma, beta = (
        None if values is None else torch.from_numpy(np.array(values))
        for values in (fold.layer.weight, fold.layer.bias)
    )
    return normalize(fed, *statistics.tensors(), gamma, beta, fold.layer.eps or 0.0)
