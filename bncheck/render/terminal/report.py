"""A terminal shows a report: the answer, then every layer, then each finding with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.encoding import one_line
from bncheck.render.terminal.columns import plain_table
from bncheck.render.terminal.layer_table import STYLES, layer_table, legend
from bncheck.render.terminal.page import PROSE, print_parts, prose, sentence, whole
from bncheck.render.words.answer import answer
from bncheck.render.words.cells import number, span
from bncheck.render.words.report import (
    ALIKE,
    about_data,
    about_model,
    alike,
    closing,
    effect_lines,
    headline,
    next_step,
    noted,
)
from bncheck.render.words.shortening import shortened
from bncheck.render.words.training_input import fed_briefly
from bncheck.results import BatchSize, Finding, Report

ANSWER_LINES = (3, 1, 2)
"""Lines for the cause, the cost and what to do; the findings below tell in full what does not fit."""


def print_verdict(report: Report, console: Console) -> None:
    """Print what was concluded, without the tables it was concluded from."""
    said = prose(Text(""), *_answer(report, min(console.width, PROSE)))
    print_parts([prose(_header(report)), said, *_conclusion(report)], console)


def print_audit(report: Report, console: Console) -> None:
    """Print one file among several: a line, and what was found in it."""
    about = f"  {about_model(report.model)}. {headline(report).partition('.')[0]}.{fed_briefly(report)}"
    findings = map(_findings, alike(report.findings))
    notes = (sentence(note, "dim") for note in (noted(report.run) if report.findings else ()))
    line = Text.assemble(sentence(report.model.path, "bold"), sentence(about))
    steps = _next_step(report) if report.findings else ()
    print_parts([line, *map(prose, findings), *map(prose, notes), *steps], console)


def print_report(report: Report, console: Console) -> None:
    """Print the whole report; columns are added as the terminal gets wider."""
    print_parts(_parts(report, console.width), console)


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    yield prose(_header(report))
    yield prose(Text(""), *_answer(report, min(width, PROSE)))
    if report.layers:
        yield Text("")
        table = layer_table(report, width)
        yield table
        if report.summary.layers_measured:
            yield prose(sentence(legend(table), "dim"))
    if report.batch_sizes:
        yield prose(Text(""), *_batch_sizes(report.batch_sizes))
    yield from _conclusion(report)


def _conclusion(report: Report) -> Iterator[RenderableType]:
    if lines := effect_lines(report):
        yield prose(Text(""), *map(sentence, lines))
    for group in alike(report.findings):
        yield prose(Text(""), _findings(group))
    ending = [*closing(report), *noted(report.run)]
    if ending:
        yield prose(Text(""), *(sentence(line, "dim") for line in ending))
    yield from _next_step(report)


def _next_step(report: Report) -> Iterator[RenderableType]:
    """What to type next, last and in one piece."""
    if (step := next_step(report)) is not None:
        yield Text("")
        yield whole(f"{step[0]}: {step[1]}")


def _answer(report: Report, width: int) -> Iterator[Text]:
    """Cause, cost, what to do: each in its lines."""
    told = answer(report)
    for text, lines, style in zip((told.cause, told.cost, told.action), ANSWER_LINES, ("bold", "", ""), strict=True):
        yield from (Text(line, style) for line in shortened(one_line(text), width, lines))


def _header(report: Report) -> Text:
    about = sentence(f"  {about_model(report.model)}")
    return Text.assemble(sentence(report.model.path, "bold"), about, "\n", sentence(about_data(report)))


def _batch_sizes(rows: Sequence[BatchSize]) -> Iterator[RenderableType]:
    yield sentence("Mini-batches of these data against the stored statistics, by batch size:")
    table = plain_table()
    for name in ("batch size", "gap", "shift (95 %)", "scale (5 to 95 %)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(str(row.batch_size), number(row.gap), number(row.shift), span(row.scale_low, row.scale_high))
    yield table
    if _degenerate(rows):
        yield sentence(
            "With one sample per batch, layers that see one value per channel, and channels that are constant in a "
            "sample, have a variance of 0: in training they become beta, in eval mode they do not.",
            "yellow",
        )


def _degenerate(rows: Sequence[BatchSize]) -> bool:
    """Whether the spread all but vanishes at one sample per batch, and at no other size."""
    first, last = rows[0], rows[-1]
    return first.batch_size == 1 < last.batch_size and first.scale_low < 0.1 * last.scale_low


def _findings(group: Sequence[Finding]) -> Table:
    first = group[0]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=len("BN000 warning"))
    grid.add_column()
    title = Text(f"{first.code} {first.severity}", style=STYLES[first.severity])
    for finding in group[:ALIKE]:
        grid.add_row(title, sentence(finding.message))
        title = Text("")
    if len(group) > ALIKE:
        grid.add_row("", f"And {len(group) - ALIKE} more of this kind: the table names the layers.")
    grid.add_row("", Text.assemble(("What to do: ", "bold"), sentence(first.fix)))
    return grid
