"""A weight as a kernel of the channels that enter it, whatever its layout is."""

from __future__ import annotations

from enum import Enum

import numpy as np

from bncheck.formats import Weighted
from bncheck.tensors import torch
from bncheck.vocabulary import Unpredicted


class Positions(Enum):
    """Where the positions stand where they became channels: before the channels, or behind them."""

    FIRST = 0
    LAST = 1


def entering_of(step: Weighted, channels: int, flattened: Positions | None) -> tuple[torch.Tensor, int] | Unpredicted:
    """The weight as one of so many channels that come in, and its groups, as `kernel_of` takes them.

    Args:
        step: the convolution or linear layer.
        channels: of what enters it, before positions became channels.
        flattened: they did, in this order.
    """
    weight = step.weight
    if step.groups < 1 or weight.dim() < 2 or not weight.numel():
        return Unpredicted.OTHER_SHAPE
    outputs = weight.shape[1] * step.groups if step.transposed else weight.shape[0]
    if step.bias is not None and step.bias.numel() != outputs:
        return Unpredicted.OTHER_SHAPE
    if step.transposed:
        shape = weight.shape
        if shape[0] != channels or channels % step.groups:
            return Unpredicted.OTHER_SHAPE
        grouped = weight.reshape(step.groups, channels // step.groups, shape[1], *shape[2:])
        turned = grouped.transpose(1, 2).reshape(step.groups * shape[1], channels // step.groups, *shape[2:])
        # Every position of the output is met by one tap in so many, on the average.
        return turned / float(np.prod(step.strides or (1,))), step.groups
    if flattened is not None and weight.dim() == 2:
        return _of_positions(weight, channels, flattened)
    if weight.shape[1] * step.groups != channels or weight.shape[0] % step.groups:
        return Unpredicted.OTHER_SHAPE
    return weight, step.groups


def _of_positions(weight: torch.Tensor, channels: int, positions: Positions) -> tuple[torch.Tensor, int] | Unpredicted:
    """A linear layer of all positions as a kernel that covers them: the mean of a channel is taken for each."""
    if weight.shape[1] % channels:
        return Unpredicted.FLATTENED
    if positions is Positions.LAST:
        return weight.reshape(weight.shape[0], channels, -1), 1
    return weight.reshape(weight.shape[0], -1, channels).transpose(1, 2), 1


def kind_of(step: Weighted, *, padded: bool) -> str:
    """A weight's kind, in words: one that covers all positions at once is unlike one that slides over them."""
    shape = step.weight.shape
    kind = "linear" if len(shape) == 2 else "pointwise" if all(size == 1 for size in shape[2:]) else "spatial"
    if kind == "spatial":
        kind = f"{'x'.join(str(size) for size in shape[2:])} {'padded' if padded else 'bare'}"
    grouped = "" if step.groups == 1 else "depthwise " if shape[1] == 1 else "grouped "
    return f"{grouped}{'transposed ' if step.transposed else ''}{kind}"
