"""A progress bar on stderr, for anything that takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

PATIENCE = 1.0
"""Seconds of silence before the bar appears."""


@contextlib.contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """What to call with (task, samples done, samples in all) while it works; silent unless stderr is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda task, done, total: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    started = time.monotonic()

    def advance(task: str, done: int, total: int | None) -> None:
        if time.monotonic() - started < PATIENCE:
            return
        if not bar.live.is_started:
            bar.start()
        if task not in tasks:
            tasks[task] = bar.add_task(task, total=total)
        bar.update(tasks[task], completed=done)

    try:
        yield advance
    finally:
        bar.stop()
        sys.stderr.flush()
