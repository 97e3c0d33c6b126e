"""Reading a drawn table back into its cells."""

from __future__ import annotations

import re

Cells = dict[str, str]


def read_table(text: str, first_title: str) -> list[Cells]:
    """The rows of the table whose first title is `first_title`; columns are parted by two blanks in every line."""
    lines = text.splitlines()
    top = next(number for number, line in enumerate(lines) if re.match(rf" *{first_title}  ", line))
    assert set(lines[top + 1]) == {"─"}, "no line under the titles"
    width = len(lines[top + 1])
    table = [line.ljust(width) for line in (lines[top], *_rows(lines[top + 2 :], width))]
    blank = [all(line[column] == " " for line in table) for column in range(width)]
    starts = [0, *(at for at in range(2, width) if blank[at - 2] and blank[at - 1] and not blank[at])]
    cut = [slice(start, end) for start, end in zip(starts, [*starts[1:], width], strict=True)]
    titles = [table[0][part].strip() for part in cut]
    assert len(set(titles)) == len(titles)
    return [dict(zip(titles, (line[part].strip() for part in cut), strict=True)) for line in table[1:]]


def _rows(lines: list[str], width: int) -> list[str]:
    """Up to the blank line, or the legend, that ends the table."""
    end = next(
        (
            number
            for number, line in enumerate(lines)
            if not line or re.match(r"\w+: |With one|\d+ (?:more )?layers? ", line)
        ),
        len(lines),
    )
    assert all(len(line) <= width for line in lines[:end])
    return lines[:end]


def read_number(cell: str) -> float | None:
    """What `number` wrote; `<0.01` as the middle of what it may be."""
    return None if cell in ("", "-") else 0.0025 if cell == "<0.01" else float(cell)


def read_span(cell: str) -> tuple[float | None, float | None]:
    low, _, high = cell.partition("..")
    return read_number(low), read_number(high or low)
