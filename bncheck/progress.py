"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how many samples it has done, and how many there are (`None`: unknown); with what
is to be said at once, and 0."""


def no_progress(task: str, done: int, total: int | None) -> None:
    """Say nothing."""
