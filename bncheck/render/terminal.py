"""The report for a person at a terminal: the answer, then every layer, then each finding with its evidence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from bncheck.render.answer import answer
from bncheck.render.cells import count, number, printable, span
from bncheck.render.layer_table import STYLES, layer_table, legend, plain_table
from bncheck.render.words import closing, effect_lines
from bncheck.report import BatchSize, Finding, ModelFacts, Report

PROSE = 100
"""The widest a sentence runs, however wide the terminal."""
ANSWER_LINES = (3, 1, 2)
"""Lines for the cause, the cost and what to do; the findings below tell in full what does not fit."""
ALIKE = 5
"""How many findings of one kind are told in full."""


def print_report(report: Report, console: Console) -> None:
    """Print the whole report; columns are added as the terminal gets wider."""
    for part in _parts(report, console.width):
        for line in console.render_lines(part, pad=False):
            console.print(Segments([*_trimmed(line), Segment.line()]), end="")


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    yield _prose(_header(report))
    yield _prose(Text(""), *_answer(report, min(width, PROSE)))
    if report.layers:
        yield Text("")
        table = layer_table(report, width)
        yield table
        if report.summary.layers_measured:
            yield _prose(_line(legend(table), "dim"))
    if report.batch_sizes:
        yield _prose(Text(""), *_batch_sizes(report.batch_sizes))
    if lines := effect_lines(report):
        yield _prose(Text(""), *map(_line, lines))
    for alike in _grouped(report.findings):
        yield _prose(Text(""), _findings(alike))
    ending = [*closing(report), *(f"Note: {note.rstrip('.')}." for note in report.run.notes)]
    if ending:
        yield _prose(Text(""), *(_line(line, "dim") for line in ending))


def _answer(report: Report, width: int) -> Iterator[Text]:
    """Cause, cost, what to do: each in its lines."""
    told = answer(report)
    for text, lines, style in zip((told.cause, told.cost, told.action), ANSWER_LINES, ("bold", "", ""), strict=True):
        shortened = textwrap.wrap(printable(text), width, max_lines=lines, placeholder=" …", break_on_hyphens=False)
        yield from (Text(line, style) for line in shortened)


def _prose(*parts: RenderableType) -> RenderableType:
    return Constrain(Group(*parts), PROSE)


def _trimmed(line: list[Segment]) -> list[Segment]:
    """The line without the spaces that fill up its last cell."""
    while line and not line[-1].text.strip():
        line = line[:-1]
    return [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)] if line else []


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style)


def _header(report: Report) -> Text:
    text = _line(report.model.path, "bold")
    text = Text.assemble(text, f"  {_about_model(report.model)}\n")
    if report.data is None:
        return text.append("no data: the stored values alone")
    data = report.data
    labels = "with labels" if data.labelled else "without labels"
    return text.append(
        f"{printable(data.source)}  {count(data.samples, 'sample')} {labels}, batches of {data.batch_size}"
    )


def _about_model(model: ModelFacts) -> str:
    return f"{model.format.replace('_', ' ')}, {count(model.norm_layers, 'norm layer')}"


def _batch_sizes(rows: Sequence[BatchSize]) -> Iterator[RenderableType]:
    yield _line("Mini-batches of these data against the stored statistics, by batch size:")
    table = plain_table()
    for name in ("batch size", "gap", "shift (95 %)", "scale (5 to 95 %)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(str(row.batch_size), number(row.gap), number(row.shift), span(row.scale_low, row.scale_high))
    yield table
    if _degenerate(rows):
        yield _line(
            "With one sample per batch, layers that see one value per channel have a variance of 0: in training "
            "every sample becomes beta there, in eval mode it does not.",
            "yellow",
        )


def _degenerate(rows: Sequence[BatchSize]) -> bool:
    """Whether the spread all but vanishes at one sample per batch, and at no other size."""
    first, last = rows[0], rows[-1]
    return first.batch_size == 1 < last.batch_size and first.scale_low < 0.1 * last.scale_low


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that ask for the same thing together, in the order of the first of each."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.severity, finding.fix), []).append(finding)
    return list(groups.values())


def _findings(alike: Sequence[Finding]) -> Table:
    first = alike[0]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=len("BN000 warning"))
    grid.add_column()
    title = Text(f"{first.code} {first.severity}", style=STYLES[first.severity])
    for finding in alike[:ALIKE]:
        grid.add_row(title, _line(finding.message))
        title = Text("")
    if len(alike) > ALIKE:
        grid.add_row("", f"And {len(alike) - ALIKE} more of this kind: the table names the layers.")
    grid.add_row("", Text.assemble(("What to do: ", "bold"), _line(first.fix)))
    return grid
