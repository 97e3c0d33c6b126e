"""A terminal shows a report: the answer, then what deserves a look; the rest where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.text import Text

from bncheck.encoding import one_line
from bncheck.render.terminal.beside import table_beside
from bncheck.render.terminal.findings import briefly_told, told_in_full
from bncheck.render.terminal.layer_table import batch_size_table, layer_table, legend
from bncheck.render.terminal.look import EVERY, Look
from bncheck.render.terminal.page import PROSE, print_parts, prose, sentence, whole
from bncheck.render.words.answer import answer, answer_in_full, subject
from bncheck.render.words.judged import in_order, judged_layers, left_out, worth_showing
from bncheck.render.words.report import (
    about_data,
    about_model,
    closing,
    exit_lines,
    gap_lines,
    headline,
    in_one_line,
    next_step,
    noted,
    rules_to_read,
    too_little_checked,
)
from bncheck.render.words.shortening import shortened
from bncheck.render.words.side import side_tables
from bncheck.render.words.training_input import fed_briefly, fed_in_training
from bncheck.results import OK, SKIPPED, LayerReport, Report, compared_with
from bncheck.vocabulary import Reason

ANSWER_LINES = (3, 1, 2)
"""Lines for the cause, the cost and what to do; `-v` tells what does not fit."""
PLACE_LINES = 2
"""Lines for the slice of the data that makes it."""
NOTE_LINES = 2
"""Lines for a note on the first screen."""


def print_report(report: Report, console: Console, look: Look | None = None) -> None:
    """Print the report; columns are added as the terminal gets wider."""
    chosen = look or Look()
    parts = _in_full(report, console.width, chosen) if chosen.verbose else _first_screen(report, console.width, chosen)
    print_parts(parts, console)


def print_audit(report: Report, console: Console, look: Look | None = None) -> None:
    """Print one file among several: a line, and what was found in it."""
    chosen = look or Look()
    about = f"  {about_model(report.model)}. {headline(report).partition('.')[0]}.{fed_briefly(report)}"
    line = Text.assemble(sentence(report.model.path, "bold"), sentence(about), no_wrap=True)
    parts: list[RenderableType] = [line]
    if report.findings:
        width = min(console.width, PROSE)
        parts += told_in_full(report, None, chosen) if chosen.verbose else briefly_told(report, None, width, True)
    parts += [prose(sentence(note, "dim")) for note in noted(report.run, briefly=not chosen.verbose)]
    if report.findings:
        parts += _next_step(report)
    print_parts(parts, console)


def _first_screen(report: Report, width: int, look: Look) -> Iterator[RenderableType]:
    """The answer, the layers and findings that deserve a look, and what qualifies all that."""
    narrow = min(width, PROSE)
    judged = judged_layers(report)
    shown = in_order(judged if look.every else worth_showing(judged), look.sort)
    rest = left_out(judged, shown)
    is_clean = report.summary.verdict == OK and not report.findings
    if is_clean and report.data is None:
        yield _title(report, f"  {about_model(report.model)}. {headline(report)}")
        rest = rest if any(_is_unread(each.layer) for each in judged) else ""
    elif is_clean and rest and not shown:
        yield _title(report, in_one_line(report))
        yield prose(sentence(answer(report).cause, "bold"))
        rest = f"{rest}. {answer(report).cost}".rstrip(". ")
    else:
        yield _title(report, in_one_line(report))
        yield from _answer(report, narrow)
    if shown:
        yield Text("")
        yield layer_table(report, [each.layer for each in shown], width)
    if rest:
        yield prose(sentence(f"{rest}.", "" if is_clean else "dim"))
    for side in side_tables(report):
        yield from table_beside(side, width)
    yield from briefly_told(report, subject(report), narrow)
    notes = [*exit_lines(report), *fed_in_training(report), *noted(report.run, briefly=True)]
    ending = [line for note in notes for line in shortened(one_line(note), narrow, NOTE_LINES)]
    more = "" if is_clean else _more(report, look, is_cut=len(shown) < len(judged))
    if not is_clean and (ending or more):
        yield Text("")
    yield prose(*(Text(line, "dim") for line in ending), *([sentence(more, "dim")] if more else []))


def _title(report: Report, about: str) -> RenderableType:
    return prose(Text.assemble(sentence(report.model.path, "bold"), sentence(about)))


def _answer(report: Report, width: int) -> Iterator[RenderableType]:
    """The cause, the cost, what to do, and the command for that; each cut to its lines."""
    told, (of_cause, of_cost, of_action) = answer(report), ANSWER_LINES
    action = told.action
    if too_little_checked(report):  # how to get it checked is all there is to say
        action = answer_in_full(report).action
        of_action = len(action)
    lines = ((told.cause, of_cause, "bold"), (told.place, PLACE_LINES, ""), (told.cost, of_cost, ""))
    for text, most, style in (*lines, (action, of_action, "")):
        yield prose(*(Text(line, style) for line in shortened(one_line(text), width, most)))
    yield from _next_step(report)


def _in_full(report: Report, width: int, look: Look) -> Iterator[RenderableType]:
    yield prose(
        Text.assemble(sentence(report.model.path, "bold"), sentence(f"  {about_model(report.model)}")),
        sentence(about_data(report)),
    )
    told = answer_in_full(report)
    yield prose(
        Text(""),
        sentence(told.cause, "bold"),
        *(sentence(text) for text in (told.place, told.cost, told.action) if text),
    )
    yield from _next_step(report)
    judged = judged_layers(report)
    shown = in_order(judged if look.every else worth_showing(judged), look.sort)
    if shown:
        yield Text("")
        table = layer_table(report, [each.layer for each in shown], width)
        yield table
    if rest := left_out(judged, shown):
        yield prose(sentence(f"{rest}.", "dim"))
    if shown and report.summary.layers_measured:
        yield prose(sentence(legend(table), "dim"))
    if lines := gap_lines(report):
        yield prose(Text(""), *map(sentence, lines))
    if report.batch_sizes:
        yield prose(Text(""), *batch_size_table(report.batch_sizes, compared_with(report.run.noted)))
    for side in side_tables(report):
        yield from table_beside(side, width)
    yield from told_in_full(report, subject(report), look)
    ending = [*closing(report), *noted(report.run)]
    if more := _more(report, look, is_cut=len(shown) < len(judged)):
        ending = [line for line in ending if not line.startswith("More: ")] + [more]
    if ending:
        yield prose(Text(""), *(sentence(line, "dim") for line in ending))


def _is_unread(layer: LayerReport) -> bool:
    """Whether a layer was skipped that may have statistics."""
    return layer.status == SKIPPED and layer.reason != Reason.NO_STATISTICS


def _next_step(report: Report) -> Iterator[RenderableType]:
    """What to type next, in one piece."""
    if (step := next_step(report)) is not None:
        yield whole(f"{step[0]}: {step[1]}")


def _more(report: Report, look: Look, *, is_cut: bool) -> str:
    """How to get at what is left out."""
    about = subject(report)
    told = [rules_to_read(report) or (f"bncheck rule {about.code}" if about and too_little_checked(report) else "")]
    if look.typed:
        told.insert(0, f"{EVERY} (every layer)" if is_cut else "")
        told.insert(0, "" if look.verbose else "-v (all that was found and noted)")
    said = ", ".join(filter(None, told))
    return f"More: {said}" if said else ""
