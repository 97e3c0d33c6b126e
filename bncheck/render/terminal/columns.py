"""Tables of layers get as many columns as leave the layers' names whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from bncheck.encoding import one_line, printable
from bncheck.render.words.cells import shorten

CORE = 3
"""Columns up to this rank stand in every terminal that is not very narrow: names are shortened for them."""
SHORTENED_NAME = 16
NAME_ROOM = 40
"""For columns of a higher rank only longer names are shortened, to no less than this."""
GUTTER = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column's cells; the lower its rank, the narrower the terminal that still has it."""

    title: str
    cells: list[str]
    rank: int
    left: bool = False

    @property
    def width(self) -> int:
        """Of its widest cell."""
        return max(len(self.title), *(len(one_line(cell)) for cell in self.cells))


def table_of_layers(
    names: Sequence[str], columns: Sequence[Column], styles: Sequence[str], width: int, title: str = "layer"
) -> Table:
    """One row per layer (or what the title says); names are shortened where even the first columns leave no room."""
    shown = [printable(name) or "(the model)" for name in names]
    chosen = _fitting(columns, width, max(len(title), *map(len, shown)))
    room = max(SHORTENED_NAME, width - _taken(chosen))
    table = plain_table()
    table.add_column(title, no_wrap=True)
    for column in chosen:
        table.add_column(column.title, justify="left" if column.left else "right", no_wrap=True)
    for row, (name, style) in enumerate(zip(shown, styles, strict=True)):
        cells = (shorten(name, room), *(one_line(column.cells[row]) for column in chosen))
        table.add_row(*map(Text, cells), style=style)
    return table


def plain_table() -> Table:
    """A line under the titles, no other."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)


def _fitting(columns: Sequence[Column], width: int, longest: int) -> list[Column]:
    """The columns of the lowest ranks that fit into `width` beside the names."""
    for rank in range(max(column.rank for column in columns), 0, -1):
        chosen = [column for column in columns if column.rank <= rank]
        if _taken(chosen) + min(longest, NAME_ROOM if rank > CORE else SHORTENED_NAME) <= width:
            return chosen
    return [column for column in columns if column.rank == 0]


def _taken(columns: Sequence[Column]) -> int:
    return sum(column.width + GUTTER for column in columns)
