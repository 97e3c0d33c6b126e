"""What was seen of the outputs: under other statistics, and beside a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bncheck.evidence.task import TaskEffect
from bncheck.results import Accuracy, HeadEffect, Note


@dataclass(frozen=True, slots=True)
class EffectEvidence:
    """How outputs move from stored to other statistics (recalibrated ones are cross-fitted), and how much is noise.

    Attributes:
        predictions_changed: fraction of predictions that differ; `None` for outputs that are no class scores.
        changed_by_noise: the same between statistics of one half of the data and of the other.
        output_change: relative L2 change of the outputs.
        output_change_by_noise: the same between the two folds' statistics.
        predictions: how many predictions were compared.
        accuracy: top-1, or the user's metric, with each set of statistics; `None` without labels.
        classes: how many the model tells apart; `None` for outputs that are no class scores.
        samples: that were compared; `None` where it was not counted.
        task: how well the model does at its task; `None` without labels that it could be judged by.
        not_finite: samples whose outputs are not finite, as shipped and with the other statistics.
        head: the output that all of this is about, where several have labels of their own.
        heads: what each of these shows, the foremost first: the one that probes go by. All the rest is of the one that
            loses most.
        notes: which of several outputs was judged, where that is not all of them.
    """

    predictions_changed: float | None
    changed_by_noise: float | None
    output_change: float | None
    output_change_by_noise: float | None
    predictions: int
    accuracy: Accuracy | None
    classes: int | None = None
    samples: int | None = None
    task: TaskEffect | None = None
    not_finite: tuple[int, int] = (0, 0)
    head: str | None = None
    heads: tuple[EffectEvidence, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def foremost(self) -> EffectEvidence:
        """What the output shows that probes go by; this, where there is one alone."""
        return self.heads[0] if self.heads else self

    def of_heads(self) -> tuple[HeadEffect, ...]:
        """What each of several outputs shows, as reports hold it."""
        return tuple(one.as_head() for one in self.heads)

    def as_head(self) -> HeadEffect:
        """What this output shows, as reports hold it."""
        task = self.task
        return HeadEffect(
            head=self.head or "",
            task=None if task is None else task.task,
            score=None if task is None else task.as_score(),
            loss=None if task is None else task.as_loss(),
            predictions_changed=self.predictions_changed,
            output_change=self.output_change,
        )

    @property
    def gain(self) -> float | None:
        """By how much the task's score is better with the other statistics; `None` without labels."""
        return None if self.task is None else self.task.score.gain

    @property
    def gain_error(self) -> float | None:
        """The standard error of the gain; `None` without labels, and where it is not known."""
        if self.task is None or not math.isfinite(self.task.score.error):
            return None
        return self.task.score.error

    @property
    def lost(self) -> float | None:
        """Share of the predictions that turn from right to wrong; `None` where samples are not right or wrong."""
        if self.task is None or not self.task.counts_right or not self.task.score.samples:
            return None
        return self.task.score.worse / self.task.score.samples


@dataclass(frozen=True, slots=True)
class OutputAgreement:
    """A model's outputs beside its reference's, on the same samples.

    Attributes:
        path: of the reference.
        samples: run through both.
        output_change: relative L2 difference of the outputs.
        predictions_changed: fraction that differ; `None` for outputs that are no class scores.
        precision: spacing of the numbers around 1 in the coarsest type either computes in; `None` if quantized.
        parts_at: first layer, in running order, that is fed something else than in the reference.
        agrees_until: last layer before it that is fed the same.
    """

    path: str
    samples: int
    output_change: float
    predictions_changed: float | None
    precision: float | None
    parts_at: str | None
    agrees_until: str | None
