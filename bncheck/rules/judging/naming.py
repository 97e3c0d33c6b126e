"""How findings name layers and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bncheck.core import NormLayer

NAMED = 5
"""How many layers a message names before it says how many more there are."""
SHOWN_CHANNELS = 8
"""How many channels the evidence lists."""


def name_some(layers: Sequence[NormLayer]) -> str:
    """Name the first layers, and say how many more there are."""
    return some_names([layer.name for layer in layers])


def some_names(layers: Sequence[str]) -> str:
    """Name the first layers by their names, and say how many more there are."""
    names = ", ".join(name or "the model itself" for name in layers[:NAMED])
    more = len(layers) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def shown(value: float) -> float | None:
    """Give a number as JSON has it: none where it is not finite."""
    return value if math.isfinite(value) else None


def channels_in_words(channels: npt.NDArray[np.intp], layer: NormLayer) -> str:
    """Name one channel, or say how many of the layer's they are."""
    if channels.size == 1:
        return f"channel {channels[0]}"
    return f"{channels.size} of {layer.channels} channels"
