"""The half-precision formats: what they can hold, and how they round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Precision:
    """A floating-point format.

    Attributes:
        name: as in PyTorch.
        largest: the largest finite number.
        infinite: from here on a number is rounded to infinity.
        zero: up to here it is rounded to 0; also the largest rounding error next to 0.
        rounding: the largest relative rounding error of its numbers.
    """

    name: str
    largest: float
    infinite: float
    zero: float
    rounding: float


PRECISIONS = {
    "float16": Precision("float16", 65504.0, 65520.0, 2.0**-25, 2.0**-11),
    "bfloat16": Precision("bfloat16", (2 - 2.0**-7) * 2.0**127, (2 - 2.0**-8) * 2.0**127, 2.0**-134, 2.0**-8),
}
