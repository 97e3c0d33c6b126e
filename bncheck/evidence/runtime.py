"""The runtime's own arithmetic beside float64."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.core import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RuntimeCheck:
    """The runtime's own answers of one layer call beside its formula in float64, on the same inputs.

    Attributes:
        layer: its name.
        call: which of its calls in a forward, from 0.
        dtype: the coarsest type among the answers and the parameters (`float32`).
        values: how many answers were compared; those that are not finite are left out.
        errors: largest error of each channel, shape (C,), in roundings of `dtype`: its machine epsilon times the
            size of the terms that are added, |a x| + |a mean| + |beta| with a = gamma / sqrt(var + eps).
        channel, position: where the largest error of all is; the position counts over the flattened spatial axes.
        fed, expected, came: the input there, the answer by the formula, and the runtime's.
    """

    layer: str
    call: int
    dtype: str
    values: int
    errors: FloatArray
    channel: int
    position: int
    fed: float
    expected: float
    came: float

    @property
    def error(self) -> float:
        """The largest of all."""
        return float(self.errors[self.channel])
