"""Two sets of outputs on the same samples, compared pair by pair, in memory that does not grow with the samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from bncheck.predictions.tasks import recognised, task_named
from bncheck.predictions.tasks.task import Task


@dataclass(slots=True)
class PairedSums:
    """Sums over samples that have a value before and after; shards are merged.

    Attributes:
        samples: that count in both.
        before: sum of the values before.
        after: sum of the values after.
        squares: sum of the squared differences.
        rose: how many values rose.
        fell: how many fell.

    Numerics: float64; differences are paired, so their squares lose no digits to the values' common size.
    """

    samples: int = 0
    before: float = 0.0
    after: float = 0.0
    squares: float = 0.0
    rose: int = 0
    fell: int = 0

    def add(self, before: torch.Tensor, after: torch.Tensor) -> None:
        """Take in values (n,) of the same samples; a sample that is NaN in either is left out."""
        known = ~(before.isnan() | after.isnan())
        before, after = before[known].double(), after[known].double()
        self.samples += len(before)
        self.before += float(before.sum())
        self.after += float(after.sum())
        self.squares += float((after - before).square().sum())
        self.rose += int((after > before).sum())
        self.fell += int((after < before).sum())

    def merge(self, other: PairedSums) -> None:
        """Take in what another saw of other samples."""
        self.samples += other.samples
        self.before += other.before
        self.after += other.after
        self.squares += other.squares
        self.rose += other.rose
        self.fell += other.fell

    def over(self, unit: float) -> PairedSums:
        """The same in another unit."""
        return PairedSums(
            self.samples, self.before / unit, self.after / unit, self.squares / unit**2, self.rose, self.fell
        )

    @property
    def mean_before(self) -> float:
        """The mean value before; NaN without samples."""
        return self.before / self.samples if self.samples else math.nan

    @property
    def mean_after(self) -> float:
        """The mean value after; NaN without samples."""
        return self.after / self.samples if self.samples else math.nan

    @property
    def difference(self) -> float:
        """The mean difference, after less before; NaN without samples."""
        return (self.after - self.before) / self.samples if self.samples else math.nan

    @property
    def standard_error(self) -> float:
        """The standard error of the mean difference, the sample being the unit; infinite below two samples."""
        if self.samples < 2:
            return math.inf
        around = max(self.squares - self.samples * self.difference**2, 0.0)
        return math.sqrt(around / (self.samples - 1) / self.samples)

    @property
    def t(self) -> float:
        """Student's t of the mean difference; infinite where all differences are the same and not 0."""
        error = self.standard_error
        if error > 0:
            return self.difference / error
        return 0.0 if not self.difference else math.copysign(math.inf, self.difference)


@dataclass(frozen=True, slots=True, eq=False)
class TaskComparison:
    """How good two sets of outputs are at a task, on the same samples.

    Attributes:
        task: what they are judged by.
        losses: paired; smaller is better.
        scores: paired; `task.larger_is_better` says which way. Of scores that are right or wrong, `rose` and `fell`
            are the discordant pairs of McNemar's test.
    """

    task: Task
    losses: PairedSums
    scores: PairedSums


@dataclass(slots=True)
class TaskPairs:
    """Accumulates scores and losses of outputs before and after, sample by sample, as far as a task is recognised.

    Attributes:
        wanted: the name of the task, where it was chosen.
        task: what the first batch with labels was recognised as, and settled; `None` before.
        losses: times the task's unit, so that shards which settled different ones add up.
        scores: likewise.
    """

    wanted: str | None = None
    task: Task | None = None
    losses: PairedSums = field(default_factory=PairedSums)
    scores: PairedSums = field(default_factory=PairedSums)

    def add(self, before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor) -> None:
        """Take in outputs of the same samples; those whose shapes the task cannot score count nothing."""
        if self.task is None:
            self.task = self._recognised(before, labels)
        task = self.task
        if task is None or not (task.matches(before, labels) and task.matches(after, labels)):
            return
        self.losses.add(*(task.losses(one, labels) * task.unit for one in (before, after)))
        self.scores.add(*(task.scores(one, labels) * task.unit for one in (before, after)))

    def merge(self, other: TaskPairs) -> None:
        """Take in what another saw of other samples.

        Raises:
            ValueError: it saw another kind of task, so that their sums mean different things.
        """
        if other.task is None:
            return
        if self.task is not None and self.task.name != other.task.name:
            raise ValueError(f"shards of one data set were taken for {self.task.name} and for {other.task.name}")
        self.task = self.task or other.task
        self.losses.merge(other.losses)
        self.scores.merge(other.scores)

    def comparison(self) -> TaskComparison | None:
        """What was seen, in the task's unit; `None` where no sample counted."""
        if self.task is None or not self.losses.samples:
            return None
        unit = self.task.unit
        return TaskComparison(self.task, self.losses.over(unit), self.scores.over(unit))

    def _recognised(self, outputs: torch.Tensor, labels: torch.Tensor) -> Task | None:
        if self.wanted is None:
            return recognised(outputs, labels)
        task = task_named(self.wanted)
        return task.settled(outputs, labels) if task.matches(outputs, labels) else None
