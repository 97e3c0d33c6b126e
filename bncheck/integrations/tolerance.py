"""What happens when measuring fails in the middle of a training: it is warned of once, and measuring ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class Tolerance:
    """Lets a training outlive whatever fails beside it.

    Before training a failure is a mistake in the set-up, and had better end the run in its first minute. In training
    it is no reason to lose the run, whatever it is: it is warned of once, and nothing is measured any more.

    Attributes:
        is_off: whether something has failed.
    """

    def __init__(self) -> None:
        self.is_off = False

    def __call__(self, task: Callable[[], Result], *, before_training: bool = False) -> Result | None:
        """What `task` gives; `None` where it failed in training, now (with a warning) or before.

        Args:
            task: measures, or recalibrates.
            before_training: nothing is lost yet, so a failure is raised.
        """
        if self.is_off:
            return None
        try:
            return task()
        except Exception as error:
            if before_training:
                raise
            self.is_off = True
            warnings.warn(
                f"bncheck could not measure, and from here on training goes on without: {error}", RuntimeWarning, 2
            )
            return None
