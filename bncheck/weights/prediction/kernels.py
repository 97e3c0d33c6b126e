"""What a convolution or a linear layer makes of channels whose moments are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck.core import FloatArray
from bncheck.tensors import torch

USUALLY_ALIKE = 0.25
"""Correlation of neighbouring values that is assumed where nothing tells it: what layers fed alike mostly agree on."""
_BORDERS = (0.0, 0.02, 0.04, 0.07, 0.1, 0.14, 0.19, 0.25, 0.35, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A layer's weights as (outputs, inputs a group, taps), in the precision they are stored in, float32 at least.

    Attributes:
        weight: shape (O, C / groups, taps).
        taps: offset of each tap from the middle along each axis, shape (taps, axes).
        groups: groups of channels that do not meet.
        bias: shape (O,); `None` without.
    """

    weight: npt.NDArray[np.floating[Any]]
    taps: FloatArray
    groups: int
    bias: FloatArray | None

    def means(self, inputs: FloatArray) -> FloatArray:
        """What each tap adds to each output's mean, of means of shape (C, A): shape (A, O, taps)."""
        outputs, inner, taps = self.weight.shape
        grouped = inputs.astype(self.weight.dtype).reshape(self.groups, inner, -1)
        weight = self.weight.reshape(self.groups, outputs // self.groups, inner, taps)
        each = weight.transpose(0, 1, 3, 2).reshape(self.groups, -1, inner) @ grouped
        return each.reshape(outputs, taps, -1).transpose(2, 0, 1).astype(np.float64)

    def variances(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Each output's variance, of channels that are independent with variances of shape (C,), each of shape (O,).

        First as if the values within the kernel's reach were independent too, then as if they were one and the same.
        """
        outputs, inner, _ = self.weight.shape
        grouped = inputs.astype(self.weight.dtype).reshape(self.groups, inner, 1)
        found = []
        for powers in (np.einsum("oit,oit->oi", self.weight, self.weight), np.square(self.weight.sum(2))):
            added = powers.reshape(self.groups, outputs // self.groups, inner) @ grouped
            found.append(added.reshape(outputs).astype(np.float64))
        return found[0], found[1]


def variance_between(bounds: tuple[FloatArray, FloatArray], alike: float) -> FloatArray:
    """What `Kernel.variances` bounds, where neighbouring values have that correlation, shape (O,)."""
    apart, together = bounds
    return (1 - alike) * apart + alike * together


@dataclass(frozen=True, slots=True)
class Border:
    """Shares of the positions at which a tap one off the middle meets padding, before the middle and behind it."""

    before: float
    behind: float


def borders_of(kernel: Kernel, padded: bool | None = None) -> Sequence[Border]:
    """The shares that may be: the size of what layers see is not known, so the best is taken.

    Stride 2 over an even size meets one border alone: in PyTorch that before the middle, in TensorFlow that behind it.

    Args:
        kernel: whose taps meet the border.
        padded: whether there is one, as a graph says; `None` without a graph.
    """
    if padded is False or not kernel.taps.any():
        return (Border(0.0, 0.0),)
    behind = [Border(0.0, share) for share in _BORDERS[1:]] if padded else []
    both = [Border(share, share) for share in _BORDERS]
    return [*both, *(Border(share, 0.0) for share in _BORDERS[1:]), *behind]


def inside(kernel: Kernel, border: Border) -> FloatArray:
    """The share of positions at which each tap meets values rather than zeros, shape (taps,)."""
    missed = np.where(kernel.taps < 0, -kernel.taps * border.before, kernel.taps * border.behind)
    return np.asarray(np.prod(np.clip(1 - missed, 0, 1), axis=1))


def kernel_of(weight: torch.Tensor, bias: torch.Tensor | None, groups: int) -> Kernel:
    """The kernel that these tensors are, shape (O, C / groups, ...) as PyTorch has them."""
    held = weight.detach().cpu()
    held = held if held.dtype in (torch.float32, torch.float64) else held.to(torch.float32)
    return Kernel(
        held.numpy().reshape(held.shape[0], held.shape[1], -1),
        _offsets(held.shape[2:]),
        groups,
        None if bias is None else bias.detach().cpu().to(torch.float64).reshape(-1).numpy(),
    )


def _offsets(sizes: Sequence[int]) -> FloatArray:
    axes = [np.arange(size, dtype=np.float64) - (size - 1) // 2 for size in sizes]
    grid: Sequence[npt.NDArray[np.float64]] = np.meshgrid(*axes, indexing="ij") if axes else [np.zeros(1)]
    return np.stack([axis.reshape(-1) for axis in grid], axis=1)
