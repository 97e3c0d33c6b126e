"""Convolutions and linear layers as what folding makes of them: a row of weights and a bias per channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck.core import PRECISION, THRESHOLDS, FloatArray, in_float64

Weights = npt.NDArray[Any]
"""Floats in the type they are stored in: a model's weights are many."""
_SMALLEST_HALF, _SMALLEST = 2.0**-24, 2.0**-133
"""The smallest number above 0 in float16, and in bfloat16, whose range float32 nearly shares."""


@dataclass(frozen=True, slots=True, eq=False)
class AffineOperation:
    """One call of a convolution or a linear layer with constant weights.

    Attributes:
        key: how its format finds the call again: the output's name in ONNX, the weight's address in torch.
        name: of its weight, as the file has it.
        weight: as torch lays it out: (O, I, *kernel), (I, O, *kernel) where transposed, (O, I) for linear layers.
        bias: shape (O,), `None` without one.
        transposed: a transposed convolution.
        groups: of a transposed convolution.
        precision: spacing of the numbers around 1 in the type it is stored in (2**-23 for float32).
        longer: the same with the constants that the nodes behind it multiply by or add, step by step.
    """

    key: int | str
    name: str
    weight: Weights
    bias: FloatArray | None
    transposed: bool = False
    groups: int = 1
    precision: float = 2.0**-23
    longer: tuple[AffineOperation, ...] = ()

    @property
    def readings(self) -> tuple[AffineOperation, ...]:
        """Where the operation may be taken to end, the likeliest first: without a bias, behind what adds one."""
        return (*reversed(self.longer), self) if self.bias is None else (self, *self.longer)

    @property
    def lost(self) -> float:
        """Norm below which a row is not what it was: its numbers are too small for their type."""
        smallest = _SMALLEST_HALF if self.precision == PRECISION["float16"] else _SMALLEST
        return THRESHOLDS.fold_rounding_room * smallest * math.sqrt(self.weight.size / self.channels)

    @property
    def rows(self) -> FloatArray:
        """What every output channel is made with, float64, shape (O, weights of a channel)."""
        return self.rows_of(self.weight)

    def rows_of(self, weights: Weights) -> FloatArray:
        """The rows of weights laid out as this operation's."""
        weight = in_float64(weights)
        if not self.transposed:
            return weight.reshape(len(weight), -1)
        inputs, outputs = weight.shape[:2]
        grouped = weight.reshape(self.groups, inputs // self.groups, outputs, -1)
        return grouped.transpose(0, 2, 1, 3).reshape(self.groups * outputs, -1)

    @property
    def channels(self) -> int:
        """Output channels."""
        return int(self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0])

    @property
    def offset(self) -> FloatArray:
        """The bias, zeros without one, shape (O,)."""
        return np.zeros(self.channels) if self.bias is None else self.bias
