"""The page of a report, and that of a repair, is put together from values and figures."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from bncheck.render.html import view
from bncheck.render.html.channels import ChannelFigure
from bncheck.render.html.drawing import drawing
from bncheck.render.html.figures import batch_size_figures, depth_figure, narrow_depth_figure, score_figure
from bncheck.render.html.filling import filled, of_report
from bncheck.render.html.tables import Line, safe
from bncheck.render.repaired.closing import check_of_repair, closing_lines
from bncheck.render.told import judged_report
from bncheck.render.words.answer import compared
from bncheck.render.words.cells import number
from bncheck.render.words.repair import headings, statistics_words, verdict_lines
from bncheck.results import BETTER, NO_DIFFERENCE, WORSE, LayerRepair, RepairResult, Report, compared_with, score_title

STANDINGS = {BETTER: "ok", NO_DIFFERENCE: "ok", WORSE: "findings"}
"""How an outcome is marked; the others cannot be told."""
REPAIRED = ("gap before", "gap after", "own before", "own after", "error")
REPAIRED_CAPTION = (
    "Every layer that stores statistics, before and after the repair. gap: root mean square over the channels; own: "
    "with upstream errors removed; error: how far the new mean may be off, in standard deviations."
)
DRAWN = 30
"""The most layers whose channels are drawn and listed: those of the largest gaps. Others name their worst channel."""


def whole_page(report: Report) -> str:
    """The report as a page that needs nothing but itself."""
    return filled("report.html.j2", **_values(report), top="h1", first="diagnosis")


def page_of_repair(repair: RepairResult) -> str:
    """What the repair did and is worth, and below it the page of the model it is judged by."""
    report = judged_report(repair)
    outcome, *worth = verdict_lines(repair)
    below = "Below: the repaired model" if repair.after is not None else "Below: the model as it came"
    return filled(
        "repair.html.j2",
        **_values(report),
        top="h2",
        first="repair",
        repair=repair,
        outcome=outcome,
        outcome_standing=STANDINGS.get(repair.outcome, "untold"),
        done=headings(repair),
        worth=worth,
        ending=closing_lines(repair),
        check=check_of_repair(repair),
        repaired=[_repaired(layer, repair.method) for layer in repair.layers],
        repaired_titles=("layer", *REPAIRED, "statistics"),
        repaired_caption=REPAIRED_CAPTION,
        below=f"{below}.",
    )


def _repaired(layer: LayerRepair, method: str) -> Line:
    values = (layer.gap_before, layer.gap_after, layer.own_before, layer.own_after, layer.error)
    cells = tuple(view.Cell(number(value), view.order(value)) for value in values)
    return Line(layer.name, cells, statistics_words(layer, method))


def _values(report: Report) -> dict[str, Any]:
    """What the templates of a whole page show of a report."""
    rows = view.rows(report)
    targets = {row.layer.name: row.target for row in rows}
    against = compared_with(report.run.noted)
    with drawing():
        figures = {
            "depth": depth_figure(report, targets),
            "depth_narrow": narrow_depth_figure(report),
            "batch_sizes": batch_size_figures(report.batch_sizes, against),
            "score": score_figure(report),
            "score_narrow": score_figure(report, is_narrow=True),
        }
        shown = _largest_gaps(rows)
        channels = _channel_figures(report, shown)
    with_channels = sum(row.layer.table is not None for row in rows)
    return {
        **of_report(report),
        "version": report.version,
        "title": report.model.path,
        "rows": rows,
        "against": against,
        "figures": {name: None if svg is None else safe(svg) for name, svg in figures.items()},
        "score": score_title(compared(report)[0]),
        "channels": channels,
        "listed": {row.target for row in shown},
        "not_drawn": with_channels - DRAWN if with_channels > DRAWN else 0,
        "drawn": DRAWN,
        "script": len(rows) > 1,
    }


def _largest_gaps(rows: list[view.Row]) -> list[view.Row]:
    """Those whose channels a page has room for."""
    with_channels = [row for row in rows if row.layer.table is not None]
    return sorted(with_channels, key=lambda row: -(row.cells[view.COLUMNS.index("gap")].order or 0.0))[:DRAWN]


def _channel_figures(report: Report, rows: list[view.Row]) -> dict[str, Markup]:
    """By target, the figures of these layers."""
    figure = ChannelFigure(report.run.thresholds["margin"])
    drawn = {row.target: figure.draw(row.layer, f"{row.target}-channels") for row in rows}
    return {target: safe(svg) for target, svg in drawn.items() if svg is not None}
