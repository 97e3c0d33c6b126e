"""Words that several readers share: causes in one line, counted lists."""

from __future__ import annotations

from collections.abc import Sequence

from bncheck.results import listed

__all__ = ["block", "first_line", "listed"]


def first_line(error: BaseException) -> str:
    """The first line of what an exception says; below it torch prints stacks that help nobody here."""
    for line in str(error).splitlines():
        if line.strip():
            return line.strip()[:240].rstrip(".:")
    return type(error).__name__


def block(title: str, rows: Sequence[Sequence[str]], limit: int = 8) -> str:
    """A title with a count and the first `limit` rows below it, their columns aligned."""
    shown = rows[:limit]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    lines = ["    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown]
    if len(rows) > limit:
        lines.append(f"    ... and {len(rows) - limit} more")
    return "\n".join([f"  {title} ({len(rows)}):", *(line.rstrip() for line in lines)])
