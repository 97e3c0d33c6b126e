"""Tables list the layers, with what was measured of each and what follows from it, and batches by their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from bncheck.render.terminal.columns import Column, plain_table, table_of_layers
from bncheck.render.terminal.page import sentence
from bncheck.render.words.cells import number, span
from bncheck.render.words.judged import concerning, layer_verdict
from bncheck.render.words.layers import KINDS, MEANINGS
from bncheck.results import ERROR, INFO, MEASURED, WARNING, BatchSize, Finding, LayerReport, Report

STYLES = {ERROR: "bold red", WARNING: "yellow", INFO: "cyan"}


def layer_table(report: Report, layers: Sequence[LayerReport], width: int) -> Table:
    """One row for each of these layers; names are shortened where even the first columns leave them no room."""
    findings = concerning(report)
    styles = [_style(layer, findings.get(layer.name, ())) for layer in layers]
    return table_of_layers([layer.name for layer in layers], _columns(report, layers), styles, width)


def legend(table: Table) -> str:
    """What the numbers in the table's columns are."""
    titles = [str(column.header) for column in table.columns]
    return "; ".join(f"{title}: {MEANINGS[title]}" for title in titles if title in MEANINGS) + "."


def batch_size_table(rows: Sequence[BatchSize], compared: str = "stored") -> Iterator[RenderableType]:
    """How far a mini-batch's statistics lie from those it is compared with, by its size."""
    yield sentence(f"Mini-batches of these data against the {compared} statistics, by batch size:")
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


def _columns(report: Report, layers: Sequence[LayerReport]) -> list[Column]:
    """Every column there is something to say in, in the order they stand in."""
    margin = report.run.margin

    def column(title: str, cell: Callable[[LayerReport], str], rank: int) -> Column:
        return Column(title, [cell(layer) for layer in layers], rank)

    kinds = [KINDS.get(layer.kind, layer.kind) for layer in layers]
    findings = concerning(report)
    verdicts = [layer_verdict(layer, findings.get(layer.name, ()), margin) for layer in layers]
    measured = any(layer.status == MEASURED for layer in layers)
    columns = [Column("kind", kinds, 5, left=True), column("ch", lambda layer: str(layer.channels), 4)]
    if measured:
        columns += [
            column("shift", lambda layer: number(layer.shift_max), 1),
            column("scale", lambda layer: span(layer.scale_min, layer.scale_max), 2),
            column("gap", lambda layer: number(layer.gap), 0),
        ]
        if any(layer.own_gap is not None for layer in layers):
            columns.append(column("own", lambda layer: number(layer.own_gap), 1))
        columns += [column("noise", lambda layer: number(layer.noise), 3), column("worst channel", _worst, 7)]
        if any((layer.calls or 0) > 1 for layer in layers):
            columns.append(column("calls", lambda layer: _known(layer.calls), 6))
    columns += [
        column("eps", lambda layer: _known(layer.stored_eps), 9),
        column("momentum", lambda layer: _known(layer.stored_momentum), 10),
        column("updates", lambda layer: _known(layer.stored_updates), 8),
        Column("verdict", verdicts, 0, left=True),
    ]
    return [chosen for chosen in columns if set(chosen.cells) != {""}]


def _worst(layer: LayerReport) -> str:
    return "" if layer.worst_channel is None else f"{layer.worst_channel}: {number(layer.gap_max)}"


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:d}" if isinstance(value, int) else f"{value:.3g}"


def _style(layer: LayerReport, findings: Sequence[Finding]) -> str:
    severities = {finding.severity for finding in findings}
    for severity in (ERROR, WARNING):
        if severity in severities:
            return STYLES[severity]
    return "" if layer.status == MEASURED else "dim"
