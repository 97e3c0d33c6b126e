"""Pages have plain tables, and a script that sorts and filters them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from bncheck.render.html.view import Cell


@dataclass(frozen=True, slots=True)
class Line:
    """A row: a name, its cells, and what is judged of it (`None` where the table has no such column)."""

    name: str
    cells: tuple[Cell, ...]
    judged: str | None = None
    severity: str = ""


@cache
def datatables() -> Markup:
    """DataTables, which sorts and filters, as itables packs it: whole, with its licences."""
    bundle = files("itables").joinpath("html", "dt_bundle.js").read_text(encoding="utf-8")
    # In a page `<!--` before `<script` would hide the end of the script; in strings and patterns \\! is !.
    return safe(bundle.replace("<!--", r"<\!--").replace("</script", r"<\/script"))


def safe(text: str) -> Markup:
    """Our own drawing, or a library's script: markup, no text."""
    return Markup(text)  # noqa: S704
