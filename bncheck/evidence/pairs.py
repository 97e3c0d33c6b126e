"""The same samples run twice: as they are, and changed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bncheck.core import THRESHOLDS
from bncheck.evidence.task import TaskEffect


@dataclass(frozen=True, slots=True)
class Condition:
    """How a model does on some samples, fed in one way.

    Attributes:
        gap: RMS gap of the layers fed by the input alone.
        model_gap: RMS gap of all measured layers.
        accuracy: top-1; `None` without labels.
        information: what the predictions tell about the inputs, in nats; `None` for outputs that are no class scores.
    """

    gap: float
    model_gap: float
    accuracy: float | None
    information: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """The same samples fed as they are, and changed.

    Attributes:
        layers: fed by the input alone, in running order.
        samples: how many were run.
        before, after: as they are, and changed.
        gain: what the task's score wins, or where samples are right or wrong the accuracy; `None` without labels.
        gain_error: its standard error, the sample being the unit.
        predictions_changed: fraction that differ; `None` for outputs that are no class scores.
        output_change: relative L2 change of the outputs.
        task: how well the model does at its task, as it is fed and changed; `None` without labels that it is judged by.
    """

    layers: tuple[str, ...]
    samples: int
    before: Condition
    after: Condition
    gain: float | None
    gain_error: float | None
    predictions_changed: float | None
    output_change: float
    task: TaskEffect | None = None

    @property
    def wins(self) -> bool | None:
        """Whether the task is done better beyond doubt, by its score or its errors; `None` without labels."""
        if self.gain is None or self.gain_error is None:
            return None
        if self.gain - THRESHOLDS.sure_z * self.gain_error > THRESHOLDS.gain_margin * self._unit:
            return True
        errors = (0.0 if self.task is None else self.task.errors) or 0.0
        return errors > 0 and self.gain - THRESHOLDS.sure_z * self.gain_error > THRESHOLDS.errors_margin * errors

    @property
    def loses(self) -> bool:
        """Whether the task is done worse, as far as labels tell: what noise alone may show is none."""
        if self.gain is None:
            return False
        if self.task is None:
            return self.gain <= -THRESHOLDS.gain_margin
        high = self.task.score.high(THRESHOLDS.two_sided_z)
        return high <= 0 and self.gain <= -THRESHOLDS.gain_margin * self._unit

    @property
    def _unit(self) -> float:
        return 1.0 if self.task is None else self.task.unit

    @property
    def information_ratio(self) -> float:
        """What the predictions tell, changed by unchanged; 1 where it cannot be told."""
        before, after = self.before.information, self.after.information
        if before is None or after is None:
            return 1.0
        return after / before if before > 0 else math.inf

    @property
    def moves_outputs(self) -> bool:
        """Whether outputs change by more than drift may without harm."""
        if self.predictions_changed is not None:
            return self.predictions_changed > THRESHOLDS.changed_margin
        return self.output_change > THRESHOLDS.output_margin
