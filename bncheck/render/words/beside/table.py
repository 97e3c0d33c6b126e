"""A table has a caption, columns and a legend, whatever format it is shown in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SideTable:
    """A table with its words.

    Attributes:
        key: by which a page refers to it.
        heading: of the part of a page that it stands in.
        caption: what it says, in a sentence.
        titles: of the columns.
        rows: their cells, as text.
        ranks: the lower a column's, the narrower the terminal that still has it.
        left: titles of columns that hold text.
        more: what is not shown; empty where all is.
        legend: what the numbers are.
    """

    key: str
    heading: str
    caption: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ranks: tuple[int, ...]
    left: frozenset[str]
    more: str
    legend: str
