"""A progress bar on stderr, for anything that takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bncheck.cli.process import say
from bncheck.render import training_words

PATIENCE = 1.0
"""Seconds of silence before the bar appears."""
SILENCE = 30.0
"""Seconds after which a line says how far it is where there is no bar."""
TOLD = 10
"""Lines about a training where there is no bar."""

Advance = Callable[..., None]
"""`advance(task, done, total, said="")`."""


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
def progress_bar(quiet: bool) -> Iterator[Advance]:
    """What to call with (task, done, in all, words) while it works; without a terminal a line now and then.

    A task of which nothing is done yet is something to say, and said once.
    """
    console = Console(stderr=True)
    if quiet:
        yield lambda task, done, total, said="": None
        return
    heard: set[str] = set()

    def remark(task: str) -> None:
        if task not in heard:
            heard.add(task)
            say(f"{task}.")

    if not console.is_terminal:
        yield _in_lines(remark)
        return
    bar = Progress(
        TextColumn("{task.description} {task.fields[said]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    started = time.monotonic()

    def advance(task: str, done: int, total: int | None, said: str = "") -> None:
        if not done:
            remark(task)
            return
        if time.monotonic() - started < PATIENCE:
            return
        if not bar.live.is_started:
            bar.start()
        if task not in tasks:
            tasks[task] = bar.add_task(task, total=total, said=said)
        bar.update(tasks[task], completed=done, said=said)

    try:
        yield advance
    finally:
        bar.stop()
        sys.stderr.flush()


def _in_lines(remark: Callable[[str], None]) -> Advance:
    """Progress where there is no terminal: a line after so long a silence; of trainings `training_told` says it."""
    last = time.monotonic()

    def advance(task: str, done: int, total: int | None, said: str = "") -> None:
        nonlocal last
        if not done:
            remark(task)
        elif not said and time.monotonic() - last >= SILENCE:
            last = time.monotonic()
            say(f"{task.capitalize()}: {done}{f' of {total}' if total else ''} samples.")

    return advance
