"""How far Batch Renormalization's correction may go, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bncheck.errors import UsageError

CLOSED_SHARE = 0.05
"""Share of a fine-tuning run that starts as plain batch normalization."""

OPEN_SHARE = 0.3
"""Share of a fine-tuning run after which both limits are fully open."""


@dataclass(frozen=True, slots=True)
class RenormSchedule:
    """Limits of r and d over a layer's training steps: closed first, then opened linearly.

    While closed (r = 1, d = 0) the layer is BatchNorm. The defaults are those of Ioffe 2017, section 3:
    closed for 5,000 steps, `r_max` reached at 40,000 and `d_max` at 25,000, for training from scratch.

    Attributes:
        closed_until: steps before which r = 1 and d = 0.
        r_open_at: step from which r may lie anywhere in [1/r_max, r_max].
        d_open_at: step from which d may lie anywhere in [-d_max, d_max].
        r_max: final limit of r, at least 1.
        d_max: final limit of d, at least 0.

    Raises:
        UsageError: a limit is out of its range, or opens before it stops being closed.
    """

    closed_until: int = 5_000
    r_open_at: int = 40_000
    d_open_at: int = 25_000
    r_max: float = 3.0
    d_max: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.closed_until <= min(self.r_open_at, self.d_open_at):
            raise UsageError(
                f"The renormalization opens at steps {self.r_open_at} (r) and {self.d_open_at} (d), but is to stay "
                f"closed until step {self.closed_until}: give 0 <= closed_until <= r_open_at, d_open_at."
            )
        if not (self.r_max >= 1.0 and self.d_max >= 0.0) or math.isinf(self.r_max) or math.isinf(self.d_max):
            raise UsageError(f"r_max {self.r_max} and d_max {self.d_max}: give finite numbers from 1 and from 0.")

    @classmethod
    def for_run(cls, steps: int, *, r_max: float = 3.0, d_max: float = 5.0) -> RenormSchedule:
        """The schedule scaled to a run of `steps`: closed for the first 5 %, fully open from 30 %."""
        opened = round(steps * OPEN_SHARE)
        return cls(min(round(steps * CLOSED_SHARE), opened), opened, opened, r_max, d_max)


ALWAYS_OPEN = RenormSchedule(0, 0, 0)
"""Fully open from the first step; at a high learning rate that can diverge."""

BATCH_NORM_ONLY = RenormSchedule(0, 0, 0, 1.0, 0.0)
"""Never opened: plain batch normalization, for comparison."""
