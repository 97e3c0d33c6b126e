"""A normalization layer that was folded into an operation, and how to see through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core import FloatArray, NormLayer, SampleMoments


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What a folded operation's weights and the reference say of the layer that went in.

    Attributes:
        key: the operation, as `AffineOperation.key`.
        layer: with the statistics that were folded in; where they are the reference's, exactly those.
        visible: channels whose gamma is large enough for their input to be seen in the output, shape (C,).
        error: RMS gap of the folded statistics from the reference's.
        agrees: whether that is no more than rounding.
        worst_channel: where they differ most.
        reference: as the reference holds it.
    """

    key: int | str
    layer: NormLayer
    visible: npt.NDArray[np.bool_]
    error: float
    agrees: bool
    worst_channel: int
    reference: NormLayer

    def inverse(self) -> tuple[FloatArray, FloatArray]:
        """Slope and offset, (C,), of the layer's input as a function of the operation's output.

        A channel that cannot be seen is taken to be fed exactly what is stored: slope 0, offset its mean.
        """
        mean, sigma = self._mean(), np.sqrt(self._var() + (self.layer.eps or 0.0))
        gamma = np.where(self.visible, self._gamma(), 1.0)
        slope = np.where(self.visible, sigma / gamma, 0.0)
        return slope, mean - slope * self._beta()

    def input_moments(self, outputs: SampleMoments) -> SampleMoments:
        """Moments of the layer's input, from those of the operation's output."""
        slope, offset = self.inverse()
        stored = outputs.count[:, None] * self._var()
        m2 = np.where(self.visible, outputs.m2 * slope**2, stored)
        return SampleMoments(outputs.count, outputs.mean * slope + offset, m2)

    def output_statistics(self) -> tuple[FloatArray, FloatArray]:
        """Mean and variance that the operation's output has where its input is as stored."""
        return self._beta(), self._gamma() ** 2

    def _mean(self) -> FloatArray:
        return _known(self.layer.mean, self.layer)

    def _var(self) -> FloatArray:
        return _known(self.layer.var, self.layer)

    def _gamma(self) -> FloatArray:
        return np.ones(self.layer.channels) if self.layer.weight is None else self.layer.weight

    def _beta(self) -> FloatArray:
        return np.zeros(self.layer.channels) if self.layer.bias is None else self.layer.bias


def folded_once(folds: Sequence[Fold]) -> list[Fold]:
    """The folds of each layer once: a layer called twice was folded twice."""
    return list({fold.layer.name: fold for fold in reversed(folds)}.values())[::-1]


def _known(values: FloatArray | None, layer: NormLayer) -> FloatArray:
    if values is None:
        raise ValueError(f"{layer.name} has no statistics and cannot have been folded")
    return values
