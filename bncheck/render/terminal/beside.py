"""Tables beside that of the layers, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from bncheck.render.terminal.columns import Column, table_of_layers
from bncheck.render.terminal.page import prose, sentence
from bncheck.render.words.cells import shorten
from bncheck.render.words.side import SideTable

NAMED = 32
"""Characters of a name within the table."""


def table_beside(side: SideTable, width: int) -> Iterator[RenderableType]:
    """Its caption, its rows, and what the numbers are; columns are added as the terminal gets wider."""
    yield prose(Text(""), sentence(side.caption))
    first, *others = zip(*side.rows, strict=True)
    columns = [
        Column(title, [shorten(cell, NAMED) for cell in cells], rank, left=title in side.left)
        for title, cells, rank in zip(side.titles[1:], others, side.ranks[1:], strict=True)
    ]
    yield table_of_layers(first, columns, [""] * len(first), width, title=side.titles[0])
    yield prose(sentence(f"{side.more} {side.legend}".strip(), "dim"))
