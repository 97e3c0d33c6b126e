"""The table of layers: as many columns as leave the layers' names whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from bncheck.render.cells import number, printable, shorten, span
from bncheck.render.words import concerning, layer_verdict
from bncheck.report import ERROR, INFO, MEASURED, WARNING, Finding, LayerReport, Report

CORE = 3
"""Columns up to this rank stand in every terminal that is not very narrow: names are shortened for them."""
SHORTENED_NAME = 16
NAME_ROOM = 40
"""For columns of a higher rank only longer names are shortened, to no less than this."""
GUTTER = 2
STYLES = {ERROR: "bold red", WARNING: "yellow", INFO: "cyan"}
KINDS = {
    "batch_norm": "batch",
    "instance_norm": "instance",
    "group_norm": "group",
    "layer_norm": "layer",
    "rms_norm": "rms",
}
MEANINGS = {
    "shift": "the largest over the channels",
    "scale": "the range over the channels",
    "gap": "root mean square over the channels",
    "own": "the gap with upstream errors removed",
    "noise": "what sampling alone would show",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's cells; the lower its rank, the narrower the terminal that still has it."""

    title: str
    cells: list[str]
    rank: int
    left: bool = False

    @property
    def width(self) -> int:
        return max(len(self.title), *map(len, self.cells))


def layer_table(report: Report, width: int) -> Table:
    """One row per layer; names are shortened where even the first columns leave them no room."""
    names = [printable(layer.name).replace("\n", "�") or "(the model)" for layer in report.layers]
    columns = _fitting(_columns(report), width, max(len("layer"), *map(len, names)))
    room = max(SHORTENED_NAME, width - _taken(columns))
    table = plain_table()
    table.add_column("layer", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="left" if column.left else "right", no_wrap=True)
    findings = concerning(report)
    for row, layer in enumerate(report.layers):
        cells = (shorten(names[row], room), *(column.cells[row] for column in columns))
        table.add_row(*map(Text, cells), style=_style(layer, findings.get(layer.name, ())))
    return table


def legend(table: Table) -> str:
    """What the numbers in the table's columns are."""
    titles = [str(column.header) for column in table.columns]
    return "; ".join(f"{title}: {MEANINGS[title]}" for title in titles if title in MEANINGS) + "."


def plain_table() -> Table:
    """A line under the titles, no other."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)


def _columns(report: Report) -> list[_Column]:
    """Every column there is something to say in, in the order they stand in."""
    layers, margin = report.layers, report.run.thresholds["margin"]

    def column(title: str, cell: Callable[[LayerReport], str], rank: int) -> _Column:
        return _Column(title, [cell(layer) for layer in layers], rank)

    kinds = [KINDS.get(layer.kind, layer.kind) for layer in layers]
    findings = concerning(report)
    verdicts = [layer_verdict(layer, findings.get(layer.name, ()), margin) for layer in layers]
    measured = any(layer.status == MEASURED for layer in layers)
    columns = [_Column("kind", kinds, 5, left=True), column("ch", lambda layer: str(layer.channels), 4)]
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
        _Column("verdict", verdicts, 0, left=True),
    ]
    return [chosen for chosen in columns if set(chosen.cells) != {""}]


def _fitting(columns: Sequence[_Column], width: int, longest: int) -> list[_Column]:
    """The columns of the lowest ranks that fit into `width` beside the names."""
    for rank in range(max(column.rank for column in columns), 0, -1):
        chosen = [column for column in columns if column.rank <= rank]
        if _taken(chosen) + min(longest, NAME_ROOM if rank > CORE else SHORTENED_NAME) <= width:
            return chosen
    return [column for column in columns if column.rank == 0]


def _taken(columns: Sequence[_Column]) -> int:
    return sum(column.width + GUTTER for column in columns)


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
