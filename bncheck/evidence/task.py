"""How well a model does at its own task with other statistics than those it was shipped with, sample by sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bncheck.core import THRESHOLDS
from bncheck.results import Score

RULE_OF_THREE = 3.0
"""Upper 95 % bound, in samples, of what never happened in any number of them (Hanley & Lippman-Hand 1983)."""


@dataclass(frozen=True, slots=True)
class Improvement:
    """What other statistics make of a number that each sample has, in pairs; a gain is for the better.

    Attributes:
        shipped: the mean as shipped.
        other: the mean with the other statistics.
        gain: by how much that is better; turned where smaller values are.
        error: standard error of the gain, the sample being the unit; infinite where it is not known.
        better: samples whose value is better.
        worse: samples whose value is worse.
        samples: that count.
        span: how much a sample's value can differ at the most; 0 where that is not known.
    """

    shipped: float
    other: float
    gain: float
    error: float
    better: int
    worse: int
    samples: int
    span: float = 0.0

    def low(self, z: float) -> float:
        """The gain less so many standard errors."""
        return self.gain - z * self.error

    def high(self, z: float) -> float:
        """The gain and so many standard errors; where no sample is better, 3 of n: so many may still be so unseen."""
        high = self.gain + z * self.error
        return high if self.better else max(high, self._unseen)

    def visible(self, z: float) -> float:
        """The smallest gain that so many samples can show, `z` standard errors from 0."""
        return max(z * self.error, self._unseen)

    @property
    def _unseen(self) -> float:
        """What may be lost in samples of which none happens to be among these."""
        return self.span * RULE_OF_THREE / self.samples if self.samples else math.inf

    @property
    def t(self) -> float:
        """Student's t of the gain; infinite where it is the same in every sample and not 0."""
        if self.error > 0:
            return self.gain / self.error
        return 0.0 if not self.gain else math.copysign(math.inf, self.gain)


@dataclass(frozen=True, slots=True)
class TaskEffect:
    """What other statistics do to a model's own task.

    Attributes:
        task: kind of task: `classes`, `positions`, `yes-no`, `numbers`, `embeddings`, `metric`.
        score_name: what the score is called.
        larger_is_better: which way the score is better; losses are smaller when better.
        has_scale: whether a difference of 0.01 means the same in any model, as in scores of 0 to 1 and errors relative
            to the labels' variance; a user's metric may have any unit.
        score: of each sample.
        loss: of each sample; `None` for a metric over all samples at once.
        batch_score: mean score with every layer normalizing by its batch; `None` without that pass.
        batch_loss: mean loss likewise.
    """

    task: str
    score_name: str
    larger_is_better: bool
    has_scale: bool
    score: Improvement
    loss: Improvement | None = None
    batch_score: float | None = None
    batch_loss: float | None = None

    @property
    def errors(self) -> float | None:
        """How far the score as shipped is from perfect; `None` where nobody knows what is."""
        if not self.has_scale:
            return None
        return 1 - self.score.shipped if self.larger_is_better else self.score.shipped

    @property
    def unit(self) -> float:
        """What gains are compared in: 1, or the size of a metric without a scale."""
        if self.has_scale:
            return 1.0
        sizes = [abs(one) for one in (self.score.shipped, self.score.other) if math.isfinite(one)]
        return max(sizes, default=0.0) or 1.0

    def as_score(self) -> Score:
        """The score as reports hold it."""
        return _told(self.score, self.score_name, self.batch_score, larger=self.larger_is_better)

    def as_loss(self) -> Score | None:
        """The loss as reports hold it."""
        return None if self.loss is None else _told(self.loss, "loss", self.batch_loss, larger=False)

    @property
    def counts_right(self) -> bool:
        """Whether the score of a sample is whether its one prediction is right."""
        return self.task == "classes"


def _told(one: Improvement, name: str, batch: float | None, *, larger: bool) -> Score:
    is_known, z = math.isfinite(one.error), THRESHOLDS.two_sided_z
    return Score(
        name=name,
        larger_is_better=larger,
        stored=one.shipped,
        batch=batch,
        recalibrated=one.other,
        gain=one.gain,
        low=one.low(z) if is_known else None,
        high=one.high(z) if is_known else None,
        samples=one.samples,
    )
