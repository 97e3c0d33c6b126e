"""What the comparisons of outputs come to, as plain values: a file can keep them, and they go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bncheck.predictions.change import OutputChange
from bncheck.predictions.hits import Hits
from bncheck.predictions.pairs import Means, PairedSums, TaskPairs
from bncheck.predictions.tasks import tasks
from bncheck.predictions.tasks.task import Task
from bncheck.results import MisfitError, encoded, kind_read


@dataclass(frozen=True, slots=True)
class RememberedTask:
    """A kind of task by its name, with what its first batch settled."""

    name: str
    settled: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RememberedGroup:
    """The scores of one group of samples; `None` of those that were not run so."""

    number: int
    pairs: PairedSums | None
    batch: Means | None


@dataclass(frozen=True, slots=True)
class RememberedPairs:
    """See `TaskPairs`."""

    wanted: str | None
    task: RememberedTask | None
    losses: PairedSums
    batch_losses: Means
    groups: tuple[RememberedGroup, ...]


@dataclass(frozen=True, slots=True)
class RememberedEffect:
    """See `PredictionEffect`; no output and no label is among it, and a metric of the user's has no place here."""

    output: str | None
    task: str | None
    threshold: float | None
    change: OutputChange
    noise: OutputChange
    hits: Mapping[str, Hits]
    samples: int
    not_finite: tuple[int, int]
    classes: int | None
    pairs: RememberedPairs
    heads: Mapping[str, RememberedEffect]


def remembered_pairs(pairs: TaskPairs) -> RememberedPairs:
    """What they hold."""
    numbers = sorted({*pairs.scores, *pairs.batch_scores})
    return RememberedPairs(
        wanted=pairs.wanted,
        task=None if pairs.task is None else RememberedTask(pairs.task.name, encoded(pairs.task)),
        losses=pairs.losses,
        batch_losses=pairs.batch_losses,
        groups=tuple(
            RememberedGroup(number, pairs.scores.get(number), pairs.batch_scores.get(number)) for number in numbers
        ),
    )


def pairs_of(kept: RememberedPairs) -> TaskPairs:
    """The pairs that held that; raises `MisfitError` where the task is none, or holds what it cannot."""
    return TaskPairs(
        wanted=kept.wanted,
        task=None if kept.task is None else _task_of(kept.task),
        losses=kept.losses,
        batch_losses=kept.batch_losses,
        scores={group.number: group.pairs for group in kept.groups if group.pairs is not None},
        batch_scores={group.number: group.batch for group in kept.groups if group.batch is not None},
    )


def _task_of(kept: RememberedTask) -> Task:
    known = tasks().get(kept.name)
    if known is None:
        raise MisfitError(f"one of {', '.join(tasks())}", kept.name)
    return kind_read(type(known), kept.settled)
