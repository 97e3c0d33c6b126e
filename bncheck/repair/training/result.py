"""What a fine-tuning tells while it runs, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bncheck.repair.training.losses import Score
from bncheck.repair.training.trainee import State


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """What one step of a run was like.

    Attributes:
        step: from 1.
        steps: of the whole run.
        loss: of this step's batch, before the step.
        r_clipped: share of channels whose r was clipped (every one whose r is not 1, while the schedule is closed).
        d_clipped: share of channels whose d was clipped.
        score: on the held-out data after this step; `None` where they were not evaluated.
    """

    step: int
    steps: int
    loss: float
    r_clipped: float
    d_clipped: float
    score: Score | None = None


TrainingProgress = Callable[[TrainingStep], None]


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """The result of a fine-tuning.

    Attributes:
        state: the state dict with plain BatchNorm, under the names and in the dtypes of the model that came in.
        steps: how many were made.
        best_step: the step whose state this is; 0 is the model that came in, where no step was better.
        score: on the held-out data, of `state`; `None` without held-out data.
        score_before: the same of the model that came in.
        history: every step; those made before an interruption without their scores.
        stopped_early: the run ended because `patience` was used up.
    """

    state: State
    steps: int
    best_step: int
    score: Score | None
    score_before: Score | None
    history: tuple[TrainingStep, ...]
    stopped_early: bool = False


def quiet(step: TrainingStep) -> None:
    """Say nothing."""
