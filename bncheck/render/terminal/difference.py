"""A terminal shows the difference of two checkpoints: what moved, what was to stay, what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.render.terminal.columns import Column, plain_table, table_of_layers
from bncheck.render.terminal.layer_table import STYLES
from bncheck.render.terminal.look import EVERY, Look
from bncheck.render.terminal.page import print_parts, prose, sentence
from bncheck.render.words import difference as words
from bncheck.render.words.cells import number, printable, shorten, span
from bncheck.render.words.layers import KINDS
from bncheck.render.words.report import about_model, noted
from bncheck.results import Difference, LayerChange, ModelFacts, TensorChange
from bncheck.vocabulary import Severity

SHOWN = 10
"""Rows of a table before it says how many more there are."""


def print_difference(difference: Difference, console: Console, look: Look | None = None) -> None:
    """Print what was found and how much moved, then what moved most."""
    print_parts(_parts(difference, console.width, look or Look()), console)


def _parts(difference: Difference, width: int, look: Look) -> Iterator[RenderableType]:
    yield prose(_file(difference.before), _file(difference.after))
    yield prose(sentence(words.headline_of_difference(difference), "bold"), *map(sentence, words.counts(difference)))
    yield from _findings(difference)
    layers, tensors = words.layers_told(difference), words.tensors_told(difference)
    if layers:
        shown = layers if look.every else layers[:SHOWN]
        yield Text("")
        yield _layers(shown, width)
        yield from _below(words.more(len(layers), shown), words.LEGEND, look)
    if tensors:
        moved = tensors if look.every else tensors[:SHOWN]
        yield Text("")
        yield _tensors(moved, width)
        yield from _below(words.more(len(tensors), moved), words.LEGEND_OF_TENSORS, look)
    ending = [line for line in (*noted(difference.run), _more(difference, look)) if line]
    if ending:
        yield prose(Text(""), *(sentence(line, "dim") for line in ending))


def _findings(difference: Difference) -> Iterator[RenderableType]:
    for finding in difference.findings:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        title = Text(f"{finding.code} {finding.severity}", style=STYLES[finding.severity])
        grid.add_row(title, sentence(finding.message))
        grid.add_row("", Text.assemble(("What to do: ", "bold"), sentence(finding.fix)))
        yield prose(grid)


def _below(more: Sequence[str], legend: str, look: Look) -> Iterator[RenderableType]:
    """How many rows were left out, and with `-v` what the columns are."""
    lines = [*map(sentence, more), *([sentence(legend, "dim")] if look.verbose or not look.typed else [])]
    if lines:
        yield prose(*lines)


def _more(difference: Difference, look: Look) -> str:
    """How to get at what is left out."""
    told = [f"bncheck rule {difference.findings[0].code}"] if difference.findings else []
    if look.typed:
        most = max(len(words.layers_told(difference)), len(words.tensors_told(difference)))
        has_table = bool(most)
        is_cut = not look.every and most > SHOWN
        told = [
            *(["-v (what the columns are)"] if has_table and not look.verbose else []),
            *([f"{EVERY} (all that moved)"] if is_cut else []),
            *told,
        ]
    return f"More: {', '.join(told)}" if told else ""


def _file(model: ModelFacts) -> Text:
    return Text.assemble(sentence(model.path, "bold"), sentence(f"  {about_model(model)}"))


def _layers(layers: Sequence[LayerChange], width: int) -> Table:
    def column(title: str, cell: Callable[[LayerChange], str], rank: int, *, left: bool = False) -> Column:
        return Column(title, [cell(layer) for layer in layers], rank, left)

    columns = [
        column("kind", lambda layer: KINDS.get(layer.kind, layer.kind), 5, left=True),
        column("ch", lambda layer: str(layer.channels), 4),
        column("shift", lambda layer: number(layer.shift_max), 1),
        column("scale", lambda layer: span(layer.scale_min, layer.scale_max), 2),
        column("gap", lambda layer: number(layer.gap), 0),
        column("worst channel", words.worst_channel, 7),
        column("updates", words.updates, 6),
        column("called before", lambda layer: "" if layer.original == layer.name else layer.original, 8, left=True),
        column("verdict", words.verdict_of_layer, 0, left=True),
    ]
    shown = [each for each in columns if set(each.cells) != {""}]
    styles = [STYLES[Severity.WARNING] if layer.moved and layer.expected_frozen else "" for layer in layers]
    return table_of_layers([layer.name for layer in layers], shown, styles, width)


def _tensors(tensors: Sequence[TensorChange], width: int) -> Table:
    table = plain_table()
    table.add_column("tensor", no_wrap=True)
    table.add_column("shape", justify="right", no_wrap=True)
    table.add_column("change", justify="right", no_wrap=True)
    shapes = [words.shape_of(tensor) for tensor in tensors]
    room = max(16, width - max(map(len, shapes)) - len("change") - 4)
    for tensor, shape in zip(tensors, shapes, strict=True):
        name = printable(tensor.name).replace("\n", "�")
        table.add_row(Text(shorten(name, room)), shape, number(tensor.change))
    return table
