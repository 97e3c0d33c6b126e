"""Pages have plain tables, which a script of a few lines sorts and filters."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from bncheck.render.html.view import Cell


@dataclass(frozen=True, slots=True)
class Line:
    """A row: a name, its cells, and what is judged of it (`None` where the table has no such column)."""

    name: str
    cells: tuple[Cell, ...]
    judged: str | None = None
    severity: str = ""


def safe(text: str) -> Markup:
    """Our own drawing: markup, no text."""
    return Markup(text)  # noqa: S704
