"""Imports of what runs models, without the collector of garbage: its passes take a third of the time to the report."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

from bncheck.cli.progress import progress_bar
from bncheck.progress import begin


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """While it is active nothing is collected, and what was made until its end never is.

    Torch's modules make some 400,000 objects that stay for the life of the process; the collector would look through
    them again and again, and once more when the process ends. Where torch is loaded already, in a process that is not
    this command's alone, nothing is changed.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def start_torch(quiet: bool) -> None:
    """Import what runs models, which takes seconds, in sight."""
    with progress_bar(quiet) as progress, uncollected():
        begin(progress, "starting torch")
        from bncheck.api import inspected  # noqa: F401
