"""The page put together: values, figures and templates."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bncheck.render.cells import count, number, printable, span
from bncheck.render.html import view
from bncheck.render.html.channels import ChannelFigure
from bncheck.render.html.drawing import drawing
from bncheck.render.html.figures import accuracy_figure, batch_size_figure, depth_figure
from bncheck.render.words import ALIKE, about_data, about_model, closing, effect_lines, headline, too_little_checked
from bncheck.report import Report

DRAWN = 120
"""The most layers whose channels are drawn: those of the largest gaps."""
SIGNS = {"error": "✖", "warning": "▲", "info": "●", "": ""}


def whole_page(report: Report) -> str:
    """The report as a page that needs nothing but itself.

    Raises:
        Nothing of its own: what cannot be drawn is left out and said so.
    """
    rows = view.rows(report)
    targets = {row.layer.name: row.target for row in rows}
    with drawing():
        figures = {
            "depth": depth_figure(report, targets),
            "batch_sizes": batch_size_figure(report.batch_sizes),
            "accuracy": accuracy_figure(report),
        }
        channels = _channel_figures(report, rows)
    with_channels = sum(row.layer.table is not None for row in rows)
    return _filled(
        "report.html.j2",
        report,
        rows=rows,
        figures={name: None if svg is None else _safe(svg) for name, svg in figures.items()},
        channels=channels,
        not_drawn=with_channels - DRAWN if with_channels > DRAWN else 0,
        drawn=DRAWN,
        script=_safe(_datatables()) if len(rows) > 1 else None,
    )


def fragment(report: Report) -> str:
    """A compact part for a notebook: no script, no figure."""
    return _filled("fragment.html.j2", report, rows=view.rows(report))


def _channel_figures(report: Report, rows: list[view.Row]) -> dict[str, Markup]:
    """By target, the figures of the layers with the largest gaps."""
    drawable = [row for row in rows if row.layer.table is not None]
    chosen = sorted(drawable, key=lambda row: -row.cells[view.COLUMNS.index("gap")].order)[:DRAWN]
    figure = ChannelFigure(report.run.thresholds["margin"])
    drawn = {row.target: figure.draw(row.layer, f"{row.target}-channels") for row in chosen}
    return {target: _safe(svg) for target, svg in drawn.items() if svg is not None}


def _filled(template: str, report: Report, **values: Any) -> str:
    return (
        _templates()
        .get_template(template)
        .render(
            report=report,
            headline=headline(report),
            untold=too_little_checked(report),
            effect=effect_lines(report),
            closing=closing(report),
            about_model=about_model(report.model),
            about_data=about_data(report.data),
            groups=view.groups(report),
            tiles=view.tiles(report),
            columns=view.COLUMNS,
            worst_columns=view.WORST_COLUMNS,
            summed=view.summed(report.layers),
            told=ALIKE,
            **values,
        )
        + "\n"
    )


@cache
def _templates() -> Environment:
    """Everything a template prints is escaped, and control characters are made visible."""
    environment = Environment(
        loader=PackageLoader("bncheck.render.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {
        "number": number,
        "evidence": view.evidence,
        "words": view.value_words,
        "code": lambda text: _coded(text),
    }
    environment.globals |= {"span": span, "count": count, "sign": SIGNS.__getitem__}
    return environment


def _coded(text: str) -> Markup:
    """Text whose parts between backticks are code; a lone backtick is none."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(printable(text))
    told = [Markup("<code>{}</code>").format(part) if at % 2 else Markup.escape(part) for at, part in enumerate(parts)]
    return Markup("").join(told)


@cache
def _datatables() -> str:
    """DataTables, which sorts and filters, as itables packs it: whole, with its licences."""
    bundle = files("itables").joinpath("html", "dt_bundle.js").read_text(encoding="utf-8")
    # In a page `<!--` before `<script` would hide the end of the script; in strings and patterns \! is !.
    return bundle.replace("<!--", r"<\!--").replace("</script", r"<\/script")


def _safe(text: str) -> Markup:
    """Our own drawing, or a library's script: markup, no text."""
    return Markup(text)  # noqa: S704
