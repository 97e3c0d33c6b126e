"""How fast a fine-tuning run learns, step by step; what can be chosen of it is `bncheck.settings.TrainingSettings`."""

from __future__ import annotations

import math

from bncheck.settings import LOSSES, STEPS, LossFunction, TrainingSettings

__all__ = ["LOSSES", "STEPS", "FineTuneOptions", "LossFunction", "rate_at"]

FineTuneOptions = TrainingSettings
WARM_UP = 0.05
"""Share of the run over which the learning rate rises; then it falls to 0 along a cosine."""


def rate_at(step: int, steps: int, highest: float) -> float:
    """The learning rate of step 0, 1, ...: a linear warm-up, then half a cosine down to 0."""
    warm = round(steps * WARM_UP)
    if step < warm:
        return highest * (step + 1) / warm
    return highest * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))
