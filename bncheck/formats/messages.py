"""Words that several readers share: causes in one line, counted lists."""

from __future__ import annotations

from collections.abc import Sequence

from bncheck.encoding import one_line, text_of
from bncheck.errors import MemoryLimitError
from bncheck.results import listed
from bncheck.vocabulary import argument

__all__ = ["beyond_memory", "block", "first_line", "listed"]


def first_line(error: BaseException) -> str:
    """The first line of what an exception says; below it torch prints stacks that help nobody here."""
    for line in text_of(error).splitlines():
        if line.strip():
            return line.strip()[:240].rstrip(".:")
    return type(error).__name__


def block(title: str, rows: Sequence[Sequence[str]], limit: int = 8) -> list[str]:
    """The lines of a title with a count and the first `limit` rows below it, their columns aligned."""
    shown = [[one_line(cell) for cell in row] for row in rows[:limit]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    lines = ["    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown]
    if len(rows) > limit:
        lines.append(f"    ... and {len(rows) - limit} more")
    return [f"  {title} ({len(rows)}):", *(line.rstrip() for line in lines)]


def beyond_memory(path: str, size: int, *, fixed: bool = False) -> MemoryLimitError:
    """The error of a batch of `size` samples that takes too much memory; `fixed`: the program takes no other size."""
    if fixed:
        advice = "It takes batches of that size alone: export it with a dynamic batch dimension."
    elif size > 1:
        advice = f"Try {argument('batch_size')} {size // 2}."
    else:
        advice = "Try smaller inputs, or a machine that has more."
    return MemoryLimitError(f"{path} takes more memory than there is for it to run a batch of {size}. {advice}")
