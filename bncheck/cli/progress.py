"""How far a run is, on stderr: with a terminal bars, with none a line where it takes long."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from bncheck.cli.process import say
from bncheck.render import training_words

PATIENCE = 1.0
"""Seconds before a bar appears, and that a stage must have taken for its last line to stay."""
SILENCE = 30.0
"""Seconds after which a line says how far it is where there is no bar."""
LONG = 10.0
"""Seconds that a stage must have taken for a line to say so where there is no bar."""
TOLD = 10
"""Lines about a training where there is no bar."""
_OFTEN = 0.5
"""Seconds between two drawings of a bar: its clock goes on where nothing else does."""

Advance = Callable[..., None]
"""`advance(task, done, total, said="")`."""
Clock = Callable[[], float]


def training_told(advance: Advance, quiet: bool) -> Callable[[Any], None]:
    """What to call with every step of a training: it moves the bar, and without a terminal says a line now and then."""
    in_lines = not quiet and not Console(stderr=True).is_terminal

    def tell(step: Any) -> None:
        accuracy = None if step.score is None or step.score.accuracy < 0 else step.score.accuracy
        said = training_words(step.loss, step.r_clipped, step.d_clipped, accuracy)
        advance("fine-tuning", step.step, step.steps, said)
        if in_lines and step.step * TOLD // step.steps > (step.step - 1) * TOLD // step.steps:
            say(f"Step {step.step} of {step.steps}: {said}.")

    return tell


@contextlib.contextmanager
def progress_bar(quiet: bool, before: int = 0) -> Iterator[Advance]:
    """What to call with (task, done, in all, words) while it works; without a terminal a line now and then.

    A task of which nothing is done yet is something to say, and said once.

    Args:
        quiet: show nothing.
        before: stages that bars before this one have shown.
    """
    if quiet:
        yield lambda task, done, total, said="": None
        return
    console = Console(stderr=True)
    shown = Bars(console, time.monotonic) if console.is_terminal else Lines(time.monotonic)
    shown.number = before
    try:
        yield shown
        shown.end()
    finally:
        shown.close()
        sys.stderr.flush()


@dataclass(slots=True)
class Stage:
    """What is being done.

    Attributes:
        name: what it is called.
        began: when, by the clock.
        done: samples so far, or steps of a training.
        unit: what these are.
    """

    name: str
    began: float
    done: int = 0
    unit: str = "samples"

    def took(self, now: float) -> str:
        """What it took, as a line's end."""
        number = f"{self.done:,} {self.unit} in " if self.done else ""
        return f"{number}{_in_words(now - self.began)}"


class Shown:
    """Knows the stage that runs, its number, and how many there are; draws nothing itself.

    Args:
        clock: gives seconds.

    Attributes:
        number: of the stage that runs, or of stages before the first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: set[str] = set()
        self._stage: Stage | None = None
        self.number = 0
        self._later: list[str] = []
        self._more = False

    def __call__(self, task: str, done: int, total: int | None, said: str = "") -> None:
        """See `bncheck.progress.Progress`."""
        if not done:
            if task not in self._heard:
                self._heard.add(task)
                say(f"{task}.")
            return
        stage = self._stage if self._stage is not None and self._stage.name == task else self._begun(task)
        stage.done, stage.unit = done, "steps" if said else "samples"
        self._moved(stage, total, said)

    def begin(self, stage: str) -> None:
        """See `bncheck.progress.StageProgress`."""
        self._begun(stage)

    def foresee(self, stages: Sequence[str], more: bool) -> None:
        """See `bncheck.progress.StageProgress`."""
        self._later, self._more = list(stages), more

    def end(self) -> None:
        """The stage that runs has ended."""
        if self._stage is not None:
            ended, self._stage = self._stage, None
            self._ended(ended)

    def close(self) -> None:
        """Draw no more."""

    @property
    def place(self) -> str:
        """Which stage of how many it is; more of them than are known yet may come."""
        return f"{self.number} of {self.number + len(self._later)}{' or more' if self._more else ''}"

    def _begun(self, name: str) -> Stage:
        self.end()
        self.number += 1
        if name in self._later:
            self._later.remove(name)
        self._stage = Stage(name, self._clock())
        self._drawn(self._stage)
        return self._stage

    def _drawn(self, stage: Stage) -> None:
        """Show a stage that begins."""

    def _moved(self, stage: Stage, total: int | None, said: str) -> None:
        """Show how far it is."""

    def _ended(self, stage: Stage) -> None:
        """Show what it took."""


class Lines(Shown):
    """Progress where there is no terminal: a line after so long a silence; of trainings `training_told` says it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._last = clock()

    def _moved(self, stage: Stage, total: int | None, said: str) -> None:
        now = self._clock()
        if not said and now - self._last >= SILENCE:
            self._last = now
            say(f"{_begun(stage.name)}: {stage.done}{f' of {total}' if total else ''} samples.")

    def _ended(self, stage: Stage) -> None:
        now = self._clock()
        if now - stage.began >= LONG:
            self._last = now
            say(f"{_begun(stage.name)}: {stage.took(now)}.")


def _begun(name: str) -> str:
    """The name as a sentence begins: a file in it keeps its capitals."""
    return name[:1].upper() + name[1:]


class Bars(Shown):
    """Progress on a terminal: a bar for the stage that runs, and above it a line for each that took long.

    Args:
        console: where it is drawn.
        clock: gives seconds.
        alone: whether it draws itself anew now and then, so that it is seen to live where nothing moves it.
    """

    def __init__(self, console: Console, clock: Clock, *, alone: bool = True) -> None:
        super().__init__(clock)
        self._bar = _Bar(console, clock, lambda: self.place, alone)
        self._task: TaskID | None = None
        self._bar.start()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()

    def _drawn(self, stage: Stage) -> None:
        self._task = self._bar.add_task(stage.name, total=None, said="")

    def _moved(self, stage: Stage, total: int | None, said: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=stage.done, total=total, said=said)

    def _ended(self, stage: Stage) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        now = self._clock()
        if now - stage.began >= PATIENCE:
            line = Text(f"{self.place}: {stage.name}: {stage.took(now)}", style="dim")
            self._bar.console.print(line, soft_wrap=True)


class _Bar(Progress):
    """A bar of rich that waits before it shows itself."""

    def __init__(self, console: Console, clock: Clock, place: Callable[[], str], alone: bool) -> None:
        self._now, self._appears = clock, clock() + PATIENCE
        super().__init__(
            SpinnerColumn(),
            _Name(place),
            BarColumn(),
            _Counted(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            auto_refresh=alone,
            refresh_per_second=1 / _OFTEN,
            get_time=clock,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Nothing at first: what is over at once needs no bar."""
        if self._now() >= self._appears:
            yield from super().get_renderables()


class _Name(ProgressColumn):
    """The stage, and its number as it is known by now."""

    def __init__(self, place: Callable[[], str]) -> None:
        super().__init__()
        self._place = place

    def render(self, task: Task) -> Text:
        """See rich's column."""
        said = task.fields["said"]
        return Text(f"{self._place()}: {task.description}{f' {said}' if said else ''}")


class _Counted(MofNCompleteColumn):
    """How many of how many; nothing where nothing is counted."""

    def render(self, task: Task) -> Text:
        """See rich's column."""
        return super().render(task) if task.completed else Text("")


def _in_words(seconds: float) -> str:
    """Seconds to what matters: 4.2 s, 41 s, 12 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60} s"
