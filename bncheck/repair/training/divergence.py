"""The guard that notices when a training run goes wrong."""

from __future__ import annotations

import math

from bncheck.core import THRESHOLDS
from bncheck.errors import RefusedError
from bncheck.vocabulary import argument

WINDOW = 20


class DivergenceGuard:
    """A guard that watches the losses of a run.

    Args:
        first: the loss before the first step.
        learning_rate: for the message.
    """

    def __init__(self, first: float, learning_rate: float) -> None:
        if not math.isfinite(first):
            raise RefusedError(
                f"The loss is {first} before the first step: the model's weights or the data hold values that are not "
                "finite. Nothing was changed; look at both with bncheck inspect."
            )
        self._first = first
        self._learning_rate = learning_rate
        self.recent: list[float] = []

    def check(self, step: int, loss: float) -> None:
        """Take in the loss of a step.

        Raises:
            RefusedError: it is not finite, or losses have exploded.
        """
        self.recent = [*self.recent, loss][-WINDOW:]
        if not math.isfinite(loss):
            raise self.diverged(step, f"the loss is {loss}")
        mean = sum(self.recent) / len(self.recent)
        if len(self.recent) == WINDOW and mean > self._first + THRESHOLDS.loss_explosion * max(abs(self._first), 1.0):
            raise self.diverged(step, f"the loss rose from {self._first:.3g} to {mean:.3g}")

    def diverged(self, step: int, what: str) -> RefusedError:
        """The error to raise."""
        return RefusedError(
            f"The fine-tuning diverged at step {step}: {what}. Nothing was saved. Give a smaller {argument('lr')} "
            "(it was "
            f"{self._learning_rate:g}), or more {argument('steps')}, over which the renormalization opens more slowly."
        )
