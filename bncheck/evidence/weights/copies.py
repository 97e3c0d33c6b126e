"""How well the statistics of two copies of a model fit the weights of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bncheck.core import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CopyFit:
    """An averaged copy's stored means beside those that its own weights predict, and that the raw model's do.

    All distances are RMS over the channels of a layer, in stored deviations, under the activation that fits the raw
    model's own layers best; shape (layers,).

    Attributes:
        copy: the copy beside the inspected model, as in `SiblingCopy`.
        layers: those that could be predicted, and whose predictions fit in the raw model.
        own: of the averaged copy's means from those that its own weights predict.
        under_raw: of the same means from those that the raw model's weights predict.
        of_raw: of the raw model's means from those that its own weights predict.
    """

    copy: str
    layers: tuple[str, ...]
    own: FloatArray
    under_raw: FloatArray
    of_raw: FloatArray

    def typical(self) -> tuple[float, float, float]:
        """Give the medians of the three over the layers."""
        return float(np.median(self.own)), float(np.median(self.under_raw)), float(np.median(self.of_raw))
