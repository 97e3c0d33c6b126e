"""A page on a terminal prints its parts below each other, sentences no wider than can be read."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.segment import Segment, Segments
from rich.text import Text

from bncheck.encoding import no_command, one_line, printable

PROSE = 100
"""The widest a sentence runs, however wide the terminal."""


def print_parts(parts: Iterable[RenderableType], console: Console) -> None:
    """Print them without the blanks that fill up lines."""
    for part in parts:
        if isinstance(part, Text) and part.no_wrap:
            console.print(part, soft_wrap=True)
            continue
        for line in console.render_lines(part, pad=False):
            shown = _trimmed(line)
            text = "".join(segment.text for segment in shown)
            mark = [Segment("\ufffd")] if no_command(text) != text else []
            console.print(Segments([*mark, *shown, Segment.line()]), end="")


def prose(*parts: RenderableType) -> RenderableType:
    """Sentences, wrapped where they get too wide."""
    return Constrain(Group(*parts), PROSE)


def sentence(text: str, style: str = "") -> Text:
    """Text that may hold names from files."""
    return Text(one_line(text), style)


def whole(text: str) -> Text:
    """A line that a reader copies: the terminal folds it where it ends, and the copy holds no break."""
    return Text(printable(text), no_wrap=True)


def _trimmed(line: list[Segment]) -> list[Segment]:
    """The line without the spaces that fill up its last cell."""
    while line and not line[-1].text.strip():
        line = line[:-1]
    return [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)] if line else []
