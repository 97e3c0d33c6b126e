"""A terminal shows a repair: what it came to and where the file lies, then the layers that deserve a look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.encoding import one_line
from bncheck.render.repaired.closing import check_of_repair, closing_lines
from bncheck.render.repaired.layers import in_order, left_out, worth_showing
from bncheck.render.terminal.columns import Column, table_of_layers
from bncheck.render.terminal.look import EVERY, Look
from bncheck.render.terminal.page import PROSE, print_parts, prose, sentence, whole
from bncheck.render.words.cells import number
from bncheck.render.words.repair import headings, outcome_briefly, statistics_words, verdict_lines
from bncheck.render.words.shortening import shortened
from bncheck.results import BETTER, CROSS_FITTED, NO_DIFFERENCE, WORSE, LayerRepair, RepairResult

STYLES = {BETTER: "bold green", WORSE: "bold red"}
MEANINGS = {
    "gap before": "gap: root mean square over the channels",
    "own before": "own: with upstream errors removed",
    "error": "error: how far the new mean may be off, in standard deviations",
}
CROSSED = " After the repair: each half of the data against the statistics of the other half."
LINES = 3
"""For a sentence of the answer on the first screen; `-v` tells what does not fit."""
NOTE_LINES = 2


def print_repair(result: RepairResult, console: Console, look: Look | None = None) -> None:
    """Print what the repair came to; columns are added as the terminal gets wider."""
    print_parts(_parts(result, console.width, look or Look()), console)


def _parts(result: RepairResult, width: int, look: Look) -> Iterator[RenderableType]:
    about = ", ".join((result.before.model.format.replace("_", " "), *headings(result)))
    yield prose(Text.assemble(sentence(result.before.model.path, "bold"), sentence(f"  {about}")))
    if result.outcome == NO_DIFFERENCE and not look.verbose and not _shown(result, look):
        yield from _calmly(result)
        return
    yield from _answer(result, min(width, PROSE), look)
    if result.after is not None:
        yield from _layers(result, width, look)
    if ending := _ending(result, min(width, PROSE), look):
        yield prose(Text(""), *(Text(line, "dim") for line in ending))


def _calmly(result: RepairResult) -> Iterator[RenderableType]:
    """That there was no fault in any layer, and none is mended; where the file lies all the same."""
    outcome, *doubts = outcome_briefly(result, calm=True)
    yield prose(sentence(outcome, "bold"), *map(sentence, doubts))
    first, *others = closing_lines(result)
    yield prose(*map(sentence, (f"{left_out(result, ())}. {first}", *others)))
    yield from _check(result)


def _layers(result: RepairResult, width: int, look: Look) -> Iterator[RenderableType]:
    """The table of those that deserve a look, and the others in a line."""
    shown = _shown(result, look)
    if shown:
        table = repair_table(shown, width, result.method)
        yield Text("")
        yield table
    if rest := left_out(result, shown):
        yield prose(sentence(f"{rest}.", "dim"))
    if shown and look.verbose:
        yield prose(sentence(_legend(table) + (CROSSED if result.judged == CROSS_FITTED else ""), "dim"))


def _shown(result: RepairResult, look: Look) -> list[LayerRepair]:
    return in_order(result.layers if look.every else worth_showing(result), look.sort)


def _answer(result: RepairResult, width: int, look: Look) -> Iterator[RenderableType]:
    """What it was and is now, where the file lies, and the command to check it."""
    first, *others = verdict_lines(result) if look.verbose else outcome_briefly(result)
    yield prose(sentence(first, STYLES.get(result.outcome, "bold")))
    for text in others:
        yield prose(*([sentence(text)] if look.verbose else map(Text, shortened(one_line(text), width, LINES))))
    yield prose(*map(sentence, closing_lines(result)))
    yield from _check(result)


def _check(result: RepairResult) -> Iterator[RenderableType]:
    """The command that judges the file, in one piece."""
    if (command := check_of_repair(result)) is not None:
        yield whole(f"Then check: {command}")


def repair_table(layers: Sequence[LayerRepair], width: int, method: str) -> Table:
    """One row for each of these layers that store statistics."""

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


def _ending(result: RepairResult, width: int, look: Look) -> list[str]:
    """What was chosen on the way, on the first screen as far as it changes what the outcome means; and what to type."""
    more = "" if result.after is None else _more(look, is_cut=len(_shown(result, look)) < len(result.layers))
    return [line for line in (*_notes(result, width, look), more) if line]


def _notes(result: RepairResult, width: int, look: Look) -> list[str]:
    told = zip(result.noted, result.notes, strict=True)
    notes = [f"Note: {said.rstrip('.')}." for note, said in told if note.qualifies or look.verbose]
    if look.verbose:
        return list(map(one_line, notes))
    return [line for note in notes for line in shortened(one_line(note), width, NOTE_LINES)]


def _more(look: Look, *, is_cut: bool) -> str:
    """How to get at what is left out."""
    if not look.typed:
        return ""
    told = ("" if look.verbose else "-v (all that was measured and noted)", f"{EVERY} (every layer)" if is_cut else "")
    said = ", ".join(filter(None, told))
    return f"More: {said}" if said else ""


def _legend(table: Table) -> str:
    """What the numbers in the table's columns are."""
    titles = [str(column.header) for column in table.columns]
    return "; ".join(MEANINGS[title] for title in titles if title in MEANINGS) + "."
