"""How long work tells how far it is, and which stages it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how many samples it has done, and how many there are (`None`: unknown); with what
is to be said at once, and 0."""


@runtime_checkable
class StageProgress(Protocol):
    """What shows more than how far a stage is: that it has begun, and how many there are."""

    def __call__(self, task: str, done: int, total: int | None) -> None:
        """See `Progress`; a task that is not the stage that has begun is a stage that begins."""
        ...

    def begin(self, stage: str) -> None:
        """The stage before has ended."""
        ...

    def foresee(self, stages: Sequence[str], more: bool) -> None:
        """These are still to come, and, as far as that can be known yet, others; said anew when more is known."""
        ...


def begin(progress: Progress, stage: str) -> None:
    """Tell that a stage begins, before anything of it is done."""
    if isinstance(progress, StageProgress):
        progress.begin(stage)


def foresee(progress: Progress, stages: Sequence[str], *, more: bool = False) -> None:
    """Tell which stages are still to come; with `more`, that others may be."""
    if isinstance(progress, StageProgress):
        progress.foresee(stages, more)


class Relayed:
    """Passes on what it is told, of work that is a part of other work.

    Args:
        progress: told all of it.
        worded: gives the words in which it is told.
        later: stages that follow those of the part.
    """

    def __init__(
        self, progress: Progress, worded: Callable[[str], str] = str, later: Sequence[str] = (), *, more: bool = False
    ) -> None:
        self._progress = progress
        self._worded = worded
        self._later = tuple(later)
        self._more = more

    def __call__(self, task: str, done: int, total: int | None) -> None:
        """See `Progress`."""
        self._progress(self._worded(task), done, total)

    def begin(self, stage: str) -> None:
        """See `StageProgress`."""
        begin(self._progress, self._worded(stage))

    def foresee(self, stages: Sequence[str], more: bool) -> None:
        """See `StageProgress`."""
        foresee(self._progress, [*map(self._worded, stages), *self._later], more=more or self._more)


def no_progress(task: str, done: int, total: int | None) -> None:
    """Say nothing."""
