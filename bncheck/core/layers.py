"""What is known of a normalization layer before any data is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck.vocabulary import Kind

FloatArray = npt.NDArray[np.float64]

BATCH_NORM = Kind.BATCH_NORM
INSTANCE_NORM = Kind.INSTANCE_NORM
GROUP_NORM = Kind.GROUP_NORM
LAYER_NORM = Kind.LAYER_NORM
RMS_NORM = Kind.RMS_NORM
OTHER = Kind.OTHER

PRECISION = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Spacing of the numbers around 1, by the name of the type."""

ROUNDING = PRECISION["float32"]
"""How far 1 - eps may be from itself once it was stored in float32."""


def in_float64(values: npt.NDArray[Any]) -> FloatArray:
    """The values in float64, without a word on those that are no numbers: a file's may be any."""
    with np.errstate(all="ignore"):
        return values.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class NormLayer:
    """One normalization layer as the file declares it.

    Attributes:
        name: dotted path in the model, `""` for a model that is one layer.
        kind: `batch_norm`, `instance_norm`, `group_norm`, `layer_norm`, `rms_norm` or `other`.
        mean, var: stored running mean and variance, float64, shape (C,); `None` where the layer has none.
        eps: added to the variance; `None` where the file does not say (a state dict without its architecture).
        momentum: weight of the newest batch (PyTorch's sense); `None` where unknown or a cumulative average.
        updates: how many batches the statistics have seen (`num_batches_tracked`); `None` where not counted.
        weight, bias: gamma and beta, float64, shape (C,); `None` where the layer has none.
        expects_statistics: the layer normalizes by stored statistics (so their absence is a fault).
        trainable_class: the layer's class is known to update its statistics in training (`nn.BatchNorm2d`);
            `False` for frozen classes, `None` where only tensors are known.
        dtype: name of the dtype the statistics are stored in (`float32`), `None` without statistics.
        missing: the file held no statistics although the layer expects them; `mean` and `var` are the initial ones.
        by_input: the file has it normalize by its input (training mode) although it stores statistics.
    """

    name: str
    kind: str
    channels: int
    mean: FloatArray | None
    var: FloatArray | None
    eps: float | None = None
    momentum: float | None = None
    updates: int | None = None
    weight: FloatArray | None = None
    bias: FloatArray | None = None
    expects_statistics: bool = True
    trainable_class: bool | None = None
    dtype: str | None = None
    missing: bool = False
    by_input: bool = False

    @property
    def has_statistics(self) -> bool:
        """Tell whether there are stored statistics to compare with."""
        return self.mean is not None and self.var is not None

    @property
    def statistics(self) -> tuple[FloatArray, FloatArray]:
        """Give running mean and variance, each of shape (C,).

        Raises:
            ValueError: the layer stores none; ask `has_statistics` first.
        """
        if self.mean is None or self.var is None:
            raise ValueError(f"{self.name} has no stored statistics")
        return self.mean, self.var

    @property
    def is_possible(self) -> bool:
        """Tell whether its statistics can be some data's: finite, and no variance negative."""
        mean, var = self.statistics
        return bool(np.isfinite(mean).all() and np.isfinite(var).all() and (var >= 0).all())

    @property
    def is_folded(self) -> bool:
        """Tell whether the statistics are the identity on purpose, because they went into gamma and beta.

        They are in a frozen class with mean 0 and variance 1, and in any class where the variance is 1 - eps,
        so that the layer divides by exactly 1. Nothing there describes data.
        """
        if self.mean is None or self.var is None or self.missing or np.count_nonzero(self.mean):
            return False
        if np.all(self.var == 1.0):
            return self.trainable_class is False
        return self.eps is not None and bool(np.all(np.abs(self.var + self.eps - 1.0) < ROUNDING))


@dataclass(frozen=True, slots=True, eq=False)
class SiblingCopy:
    """Another copy of the inspected model in the same file.

    Attributes:
        name: dotted path in the checkpoint, `""` for its own tensors.
        averaged: an averaged copy (EMA, SWA) by its name.
        layers: those with statistics, under the inspected model's names.
        same_weights: every parameter is the inspected model's, to the last bit.
        same_statistics: so is every running mean and variance.
    """

    name: str
    averaged: bool
    layers: tuple[NormLayer, ...]
    same_weights: bool
    same_statistics: bool
