"""A terminal shows a repair: every layer before and after, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.render.terminal.columns import Column, table_of_layers
from bncheck.render.terminal.page import print_parts, prose, sentence, whole
from bncheck.render.words.cells import number
from bncheck.render.words.repair import check_of_repair, closing_lines, headings, statistics_words, verdict_lines
from bncheck.results import BETTER, CROSS_FITTED, WORSE, LayerRepair, RepairResult

STYLES = {BETTER: "bold green", WORSE: "bold red"}
MEANINGS = {
    "gap before": "gap: root mean square over the channels",
    "own before": "own: with upstream errors removed",
    "error": "error: how far the new mean may be off, in standard deviations",
}
CROSSED = " After the repair: each half of the data against the statistics of the other half."


def print_repair(result: RepairResult, console: Console) -> None:
    """Print the whole page; columns are added as the terminal gets wider."""
    print_parts(_parts(result, console.width), console)


def _parts(result: RepairResult, width: int) -> Iterator[RenderableType]:
    yield prose(
        Text.assemble(sentence(result.before.model.path, "bold"), f"  {result.before.model.format.replace('_', ' ')}"),
        *map(sentence, headings(result)),
    )
    if result.after is not None and result.layers:
        yield Text("")
        table = repair_table(result.layers, width, result.method)
        yield table
        crossed = CROSSED if result.judged == CROSS_FITTED else ""
        yield prose(sentence(_legend(table) + crossed, "dim"))
    first, *others = verdict_lines(result)
    yield prose(Text(""), sentence(first, STYLES.get(result.outcome, "bold")), *map(sentence, others))
    if result.notes:
        yield prose(Text(""), *(sentence(note, "dim") for note in result.notes))
    yield prose(Text(""), *map(sentence, closing_lines(result)))
    if (command := check_of_repair(result)) is not None:
        yield Text("")
        yield whole(f"Then check: {command}")


def repair_table(layers: tuple[LayerRepair, ...], width: int, method: str) -> Table:
    """One row per layer that stores statistics."""

    def column(title: str, value: Callable[[LayerRepair], float | None], rank: int) -> Column:
        return Column(title, [number(value(layer)) for layer in layers], rank)

    columns = [
        column("gap before", lambda layer: layer.gap_before, 0),
        column("gap after", lambda layer: layer.gap_after, 0),
        column("own before", lambda layer: layer.own_before, 4),
        column("own after", lambda layer: layer.own_after, 4),
        column("error", lambda layer: layer.error, 1),
        Column("statistics", [statistics_words(layer, method) for layer in layers], 0, left=True),
    ]
    styles = ["" if layer.changed else "dim" for layer in layers]
    return table_of_layers([layer.name for layer in layers], columns, styles, width)


def _legend(table: Table) -> str:
    """What the numbers in the table's columns are."""
    titles = [str(column.header) for column in table.columns]
    return "; ".join(MEANINGS[title] for title in titles if title in MEANINGS) + "."
