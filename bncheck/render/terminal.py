"""The report for a person at a terminal: every layer, then what it means and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.render.cells import count, number, printable, span
from bncheck.render.columns import plain_table
from bncheck.render.layer_table import STYLES, layer_table, legend
from bncheck.render.page import print_parts, prose, sentence
from bncheck.render.words import closing, effect_lines, headline
from bncheck.report import BatchSize, Finding, ModelFacts, Report

ALIKE = 5
"""How many findings of one kind are told in full."""


def print_report(report: Report, console: Console) -> None:
    """Print the whole report; columns are added as the terminal gets wider."""
    print_parts(_parts(report, console.width), console)


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    yield prose(_header(report))
    if report.layers:
        yield Text("")
        table = layer_table(report, width)
        yield table
        if report.summary.layers_measured:
            yield prose(sentence(legend(table), "dim"))
    if report.batch_sizes:
        yield prose(Text(""), *_batch_sizes(report.batch_sizes))
    yield prose(Text(""), sentence(headline(report), "bold"), *map(sentence, effect_lines(report)))
    for alike in _grouped(report.findings):
        yield prose(Text(""), _findings(alike))
    ending = [*closing(report), *(f"Note: {note.rstrip('.')}." for note in report.run.notes)]
    if ending:
        yield prose(Text(""), *(sentence(line, "dim") for line in ending))


def _header(report: Report) -> Text:
    text = sentence(report.model.path, "bold")
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
    yield sentence("Mini-batches of these data against the stored statistics, by batch size:")
    table = plain_table()
    for name in ("batch size", "gap", "shift (95 %)", "scale (5 to 95 %)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(str(row.batch_size), number(row.gap), number(row.shift), span(row.scale_low, row.scale_high))
    yield table
    if _degenerate(rows):
        yield sentence(
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
        grid.add_row(title, sentence(finding.message))
        title = Text("")
    if len(alike) > ALIKE:
        grid.add_row("", f"And {len(alike) - ALIKE} more of this kind: the table names the layers.")
    grid.add_row("", Text.assemble(("What to do: ", "bold"), sentence(first.fix)))
    return grid
