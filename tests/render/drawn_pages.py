"""Reports as a terminal shows them, as text."""

from __future__ import annotations

import io

from rich.console import Console

from bncheck.render.terminal.look import Look
from bncheck.render.terminal.report import print_report
from bncheck.results.report import Report

FIRST = Look(typed=True)
ALL_OF_IT = Look(verbose=True, every=True, typed=True)


def drawn(report: Report, width: int, look: Look | None = FIRST) -> str:
    """The page without colours; by default the first screen of a command."""
    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    print_report(report, console, look)
    return page.getvalue()


def drawn_in_full(report: Report, width: int, look: Look = ALL_OF_IT) -> str:
    """With everything that there is to say."""
    return drawn(report, width, look)


def words(text: str) -> str:
    """The text however its lines are broken."""
    return " ".join(text.split())
