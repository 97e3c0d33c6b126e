"""The page put together: values, figures, and the script that sorts and filters."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from markupsafe import Markup

from bncheck.render.html import view
from bncheck.render.html.channels import ChannelFigure
from bncheck.render.html.drawing import drawing
from bncheck.render.html.figures import accuracy_figure, batch_size_figure, depth_figure
from bncheck.render.html.filling import filled
from bncheck.results.report import Report

DRAWN = 120
"""The most layers whose channels are drawn and listed: those of the largest gaps. Others name their worst channel."""


def whole_page(report: Report) -> str:
    """The report as a page that needs nothing but itself."""
    rows = view.rows(report)
    targets = {row.layer.name: row.target for row in rows}
    with drawing():
        figures = {
            "depth": depth_figure(report, targets),
            "batch_sizes": batch_size_figure(report.batch_sizes),
            "accuracy": accuracy_figure(report),
        }
        shown = _largest_gaps(rows)
        channels = _channel_figures(report, shown)
    with_channels = sum(row.layer.table is not None for row in rows)
    return filled(
        "report.html.j2",
        report,
        rows=rows,
        figures={name: None if svg is None else _safe(svg) for name, svg in figures.items()},
        channels=channels,
        listed={row.target for row in shown},
        not_drawn=with_channels - DRAWN if with_channels > DRAWN else 0,
        drawn=DRAWN,
        script=_safe(_datatables()) if len(rows) > 1 else None,
    )


def _largest_gaps(rows: list[view.Row]) -> list[view.Row]:
    """Those whose channels a page has room for."""
    with_channels = [row for row in rows if row.layer.table is not None]
    return sorted(with_channels, key=lambda row: -row.cells[view.COLUMNS.index("gap")].order)[:DRAWN]


def _channel_figures(report: Report, rows: list[view.Row]) -> dict[str, Markup]:
    """By target, the figures of these layers."""
    figure = ChannelFigure(report.run.thresholds["margin"])
    drawn = {row.target: figure.draw(row.layer, f"{row.target}-channels") for row in rows}
    return {target: _safe(svg) for target, svg in drawn.items() if svg is not None}


@cache
def _datatables() -> str:
    """DataTables, which sorts and filters, as itables packs it: whole, with its licences."""
    bundle = files("itables").joinpath("html", "dt_bundle.js").read_text(encoding="utf-8")
    # In a page `<!--` before `<script` would hide the end of the script; in strings and patterns \! is !.
    return bundle.replace("<!--", r"<\!--").replace("</script", r"<\/script")


def _safe(text: str) -> Markup:
    """Our own drawing, or a library's script: markup, no text."""
    return Markup(text)  # noqa: S704
