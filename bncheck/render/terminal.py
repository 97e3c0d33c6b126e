"""The report for a person at a terminal: every layer, then what it means and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.render.words import closing, effect_lines, headline, layer_verdict
from bncheck.report import ERROR, MEASURED, WARNING, Finding, LayerReport, Report

MEDIUM, WIDE = 96, 140
STYLES = {ERROR: "bold red", WARNING: "yellow", "info": "cyan"}
KINDS = {
    "batch_norm": "batch",
    "instance_norm": "instance",
    "group_norm": "group",
    "layer_norm": "layer",
    "rms_norm": "rms",
}


def print_report(report: Report, console: Console) -> None:
    """Print the whole report; columns are added as the terminal gets wider."""
    console.print(_body(report, console.width), soft_wrap=False)


def _body(report: Report, width: int) -> RenderableType:
    parts: list[RenderableType] = [_header(report), Text("")]
    if report.layers:
        parts += [_layer_table(report, width), Text("")]
    if report.batch_sizes:
        parts += [_batch_size_table(report), *_degenerate(report), Text("")]
    parts += [Text(headline(report), style="bold"), *(Text(line) for line in effect_lines(report))]
    for finding in report.findings:
        parts += [Text(""), _finding(finding)]
    ending = closing(report)
    if ending or report.run.notes:
        parts.append(Text(""))
    parts += [
        Text(line, style="dim") for line in (*ending, *(f"Note: {note.rstrip('.')}." for note in report.run.notes))
    ]
    return Group(*parts)


def _header(report: Report) -> Text:
    text = Text.assemble(
        (report.model.path, "bold"), f"  {report.model.format}, {report.model.norm_layers} norm layers"
    )
    if report.data is not None:
        data = report.data
        labels = "with labels" if data.labelled else "without labels"
        text.append(f"\n{data.source}  {data.samples} samples {labels}, batches of {data.batch_size}")
    else:
        text.append("\nno data: the stored values alone")
    return text


def _layer_table(report: Report, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    measured = report.summary.layers_measured > 0
    table.add_column("layer", no_wrap=True, overflow="ellipsis", min_width=8, ratio=None)
    table.add_column("kind", no_wrap=True)
    table.add_column("ch", justify="right", no_wrap=True)
    if measured:
        for name in ("shift", "scale", "gap", "own", "noise"):
            table.add_column(name, justify="right", no_wrap=True)
        if width >= MEDIUM:
            table.add_column("worst channel", justify="right", no_wrap=True)
    if width >= WIDE or not measured:
        for name in ("eps", "momentum", "updates"):
            table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE and measured:
        table.add_column("calls", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    margin = report.run.thresholds["margin"]
    name_width = max(8, _name_width(report, width, measured))
    for layer in report.layers:
        table.add_row(*_cells(layer, measured, width, margin, name_width), style=_row_style(layer, report))
    return table


def _cells(layer: LayerReport, measured: bool, width: int, margin: float, name_width: int) -> Iterator[str]:
    yield shorten(layer.name or "(the model)", name_width)
    yield KINDS.get(layer.kind, layer.kind)
    yield str(layer.channels)
    if measured:
        yield number(layer.shift_max)
        yield span(layer.scale_min, layer.scale_max)
        yield number(layer.gap)
        yield number(layer.own_gap)
        yield number(layer.noise)
        if width >= MEDIUM:
            yield "" if layer.worst_channel is None else f"{layer.worst_channel}: {number(layer.gap_max)}"
    if width >= WIDE or not measured:
        yield "" if layer.stored_eps is None else f"{layer.stored_eps:.3g}"
        yield "" if layer.stored_momentum is None else f"{layer.stored_momentum:.3g}"
        yield "" if layer.stored_updates is None else str(layer.stored_updates)
    if width >= WIDE and measured:
        yield "" if layer.calls is None else str(layer.calls)
    yield layer_verdict(layer, margin)


def _name_width(report: Report, width: int, measured: bool) -> int:
    """What the other columns leave for the names."""
    others = [list(_cells(layer, measured, width, math.inf, 8))[1:] for layer in report.layers]
    heads = 13 if measured and width >= MEDIUM else 5
    widest = [max(5, *(len(row[column]) for row in others)) for column in range(len(others[0]))]
    return width - sum(widest) - len(widest) - max(0, heads - 5) - 2


def _row_style(layer: LayerReport, report: Report) -> str:
    severities = {finding.severity for finding in report.findings if finding.layer == layer.name}
    for severity in (ERROR, WARNING):
        if severity in severities:
            return STYLES[severity]
    return "" if layer.status == MEASURED else "dim"


def _batch_size_table(report: Report) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        show_edge=False,
        title="What mini-batches of these data would show instead of the stored statistics",
        title_justify="left",
        title_style="",
    )
    for name in ("batch size", "gap", "shift (95 %)", "scale (5 to 95 %)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.batch_sizes:
        table.add_row(str(row.batch_size), number(row.gap), number(row.shift), span(row.scale_low, row.scale_high))
    return table


def _degenerate(report: Report) -> list[Text]:
    """One example and one value per channel: the batch has no variance to normalize by."""
    first = report.batch_sizes[0]
    if first.batch_size > 1 or not first.scale_low < 0.05:
        return []
    return [
        Text(
            "At one example per batch a layer that sees one value per channel has variance 0: in training every "
            "example becomes beta there, at test time it does not.",
            style="yellow",
        )
    ]


def _finding(finding: Finding) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    title = Text(f"{finding.code} {finding.severity}", style=STYLES[finding.severity])
    grid.add_row(title, Text(finding.message))
    grid.add_row("", Text.assemble(("What to do: ", "bold"), finding.fix))
    return grid


def number(value: float | None) -> str:
    """Two decimals below ten, three digits above; `-` where not measured, `nan` where not a number."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    if abs(value) >= 1000:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"


def span(low: float | None, high: float | None) -> str:
    """Both ends of a range."""
    return "-" if low is None or high is None else f"{number(low)}..{number(high)}"


def shorten(name: str, width: int) -> str:
    """The end of a dotted name says most: the beginning gives way."""
    return name if len(name) <= width else "…" + name[-(width - 1) :]
