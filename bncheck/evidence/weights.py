"""What the weights of a file show by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZeroedWeights:
    """Weights that are exactly 0, which training leaves nowhere and pruning does.

    Attributes:
        filters: rows of weights (the filters of convolutions, the units of linear layers) that are 0 as a whole.
        share: of the weights in all other rows, those that are 0.
    """

    filters: int
    share: float
