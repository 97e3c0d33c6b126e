"""Two sets of outputs on the same samples, compared pair by pair, in memory that does not grow with the samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bncheck.core import THRESHOLDS
from bncheck.errors import DataError
from bncheck.evidence import Improvement, TaskEffect
from bncheck.predictions.tasks import recognised, task_named
from bncheck.predictions.tasks.task import EMPTY, Task
from bncheck.tensors import torch
from bncheck.vocabulary import argument


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


@dataclass(slots=True)
class Means:
    """Sums over samples under one set of statistics; shards are merged.

    Attributes:
        total: of the values.
        samples: that have one.
    """

    total: float = 0.0
    samples: int = 0

    def add(self, values: torch.Tensor) -> None:
        """Take in values (n,); those that are NaN are left out."""
        known = values[~values.isnan()]
        self.total += float(known.double().sum())
        self.samples += len(known)

    def merge(self, other: Means) -> None:
        """Take in what another saw of other samples."""
        self.total += other.total
        self.samples += other.samples

    def over(self, unit: float) -> float | None:
        """The mean in another unit; `None` without samples."""
        return self.total / self.samples / unit if self.samples else None


_Sums = TypeVar("_Sums", PairedSums, Means)


@dataclass(slots=True)
class TaskPairs:
    """Accumulates scores and losses of outputs before and after, sample by sample, as far as a task is recognised.

    Attributes:
        wanted: the name of the task, where it was chosen.
        task: what the first batch with labels was recognised as, and settled; `None` before.
        losses: times the task's unit, so that shards which settled different ones add up.
        scores: likewise, by the task's groups of samples, whose means count alike.
        batch_losses: of outputs under batch statistics.
        batch_scores: likewise.
    """

    wanted: str | None = None
    task: Task | None = None
    losses: PairedSums = field(default_factory=PairedSums)
    scores: dict[int, PairedSums] = field(default_factory=dict)
    batch_losses: Means = field(default_factory=Means)
    batch_scores: dict[int, Means] = field(default_factory=dict)

    def add(self, before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor) -> None:
        """Take in outputs of the same samples; those whose shapes the task cannot score count nothing."""
        if self.task is None and before.shape == after.shape:
            self._settle(before, after, labels)
        task = self._task_of(before, labels)
        if task is None or not task.matches(after, labels):
            return
        self.losses.add(*(task.losses(one, labels) * task.unit for one in (before, after)))
        first, second = (task.scores(one, labels) * task.unit for one in (before, after))
        for group, chosen in _groups(task, before, labels):
            self.scores.setdefault(group, PairedSums()).add(first[chosen], second[chosen])

    def add_batch(self, outputs: torch.Tensor, labels: torch.Tensor) -> None:
        """Take in outputs under batch statistics."""
        task = self._task_of(outputs, labels)
        if task is None:
            return
        self.batch_losses.add(task.losses(outputs, labels) * task.unit)
        scores = task.scores(outputs, labels) * task.unit
        for group, chosen in _groups(task, outputs, labels):
            self.batch_scores.setdefault(group, Means()).add(scores[chosen])

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
        self.batch_losses.merge(other.batch_losses)
        for group, sums in other.scores.items():
            self.scores.setdefault(group, PairedSums()).merge(sums)
        for group, means in other.batch_scores.items():
            self.batch_scores.setdefault(group, Means()).merge(means)

    def effect(self) -> TaskEffect | None:
        """What was seen, in the task's unit; `None` where no sample counted."""
        if self.task is None or not self.losses.samples:
            return None
        unit, task = self.task.unit, self.task
        batch = [one for one in (means.over(unit) for means in _judged(self.batch_scores)) if one is not None]
        return TaskEffect(
            task=task.name,
            score_name=task.score_name,
            larger_is_better=task.larger_is_better,
            has_scale=task.has_scale,
            score=_improvement(
                [one.over(unit) for one in _judged(self.scores)],
                larger=task.larger_is_better,
                span=1.0 if task.has_scale and task.larger_is_better else 0.0,
            ),
            loss=_improvement([self.losses.over(unit)], larger=False, span=0.0),
            batch_score=sum(batch) / len(batch) if batch else None,
            batch_loss=self.batch_losses.over(unit),
        )

    def _task_of(self, outputs: torch.Tensor, labels: torch.Tensor) -> Task | None:
        """The task, if it can score these."""
        if self.task is None:
            self.task = self._recognised(outputs, labels)
        return self.task if self.task is not None and self.task.matches(outputs, labels) else None

    def _settle(self, before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor) -> None:
        """Decide by both whether outputs are probabilities: logits lie in 0..1 by chance where statistics are wrong."""
        task = self._recognised(before, labels)
        if getattr(task, "are_probabilities", False) and task is not None:
            task = task.settled(torch.cat([before, after]), torch.cat([labels, labels]))
        self.task = task

    def _recognised(self, outputs: torch.Tensor, labels: torch.Tensor) -> Task | None:
        if self.wanted is None:
            return recognised(outputs, labels)
        task = task_named(self.wanted)
        if not task.matches(outputs, labels):
            raise DataError(
                f"{argument('task')} {self.wanted} does not judge outputs {tuple(outputs.shape)} by labels "
                f"{tuple(labels.shape)}: choose another, or leave it out, and they tell."
            )
        return task.settled(outputs, labels)


def _groups(task: Task, outputs: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Groups of samples by number, each with which samples, (N,) bool, belong to it."""
    numbers = task.groups(outputs, labels)
    if numbers is None:
        yield 0, torch.ones(len(outputs), dtype=torch.bool)
        return
    for number in sorted(set(numbers.tolist())):
        yield number, numbers == number


def _judged(groups: Mapping[int, _Sums]) -> list[_Sums]:
    """The groups that count: not a few samples with nothing to find, of which nobody can tell how sure they are."""
    known = {number: one for number, one in groups.items() if one.samples}
    others = [one for number, one in known.items() if number != EMPTY]
    few = EMPTY in known and known[EMPTY].samples < THRESHOLDS.fewest_groups
    return others if few and others else list(known.values())


def _improvement(groups: Sequence[PairedSums], *, larger: bool, span: float) -> Improvement:
    """The mean of the groups' means, with its standard error; a gain is turned to be for the better."""
    known = [sums for sums in groups if sums.samples]
    number, sign = len(known), 1.0 if larger else -1.0
    rose, fell = sum(sums.rose for sums in known), sum(sums.fell for sums in known)
    return Improvement(
        shipped=sum(sums.mean_before for sums in known) / number,
        other=sum(sums.mean_after for sums in known) / number,
        gain=sign * sum(sums.difference for sums in known) / number,
        error=math.sqrt(sum(sums.standard_error**2 for sums in known)) / number,
        better=rose if larger else fell,
        worse=fell if larger else rose,
        samples=(samples := sum(sums.samples for sums in known)),
        # What is unseen may all be in the smallest group, whose samples count for more.
        span=span * samples / (number * min(sums.samples for sums in known)),
    )
