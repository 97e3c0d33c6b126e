"""Templates are filled with a result's values; nothing here draws."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bncheck.render.html import view
from bncheck.render.html.threshold_words import thresholds_told
from bncheck.render.words.cells import count, number, printable, span
from bncheck.render.words.layers import IN_FILES, MEANINGS
from bncheck.render.words.report import (
    ALIKE,
    about_data,
    about_model,
    closing,
    effect_lines,
    headline,
    next_step,
    standing,
)
from bncheck.render.words.side import side_tables
from bncheck.render.words.training_input import training_input
from bncheck.results import Report

FAILED = 1
SIGNS = {"error": "✖", "warning": "▲", "info": "●", "": ""}


def fragment(report: Report) -> str:
    """A compact part for a notebook: no script, no figure."""
    return filled("fragment.html.j2", **of_report(report), rows=view.rows(report))


def filled(template: str, **values: Any) -> str:
    """A template with these values in it."""
    return _templates().get_template(template).render(**values, told=ALIKE) + "\n"


def of_report(report: Report) -> dict[str, Any]:
    """What every page says of a report, by the names the templates have for it."""
    return {
        "report": report,
        "headline": headline(report),
        "standing": standing(report),
        "is_failing": report.summary.exit_code == FAILED,
        "effect": effect_lines(report),
        "closing": closing(report),
        "next_step": next_step(report),
        "fed": training_input(report.run),
        "about_model": about_model(report.model),
        "about_data": about_data(report),
        "groups": view.groups(report.findings),
        "tiles": view.tiles(report),
        "columns": view.COLUMNS,
        "worst_columns": view.WORST_COLUMNS,
        "summed": view.summed(report.layers),
        "beside": side_tables(report, most=view.BESIDE),
        "meanings": [(title, MEANINGS[title], IN_FILES.get(title)) for title in MEANINGS],
        "thresholds": thresholds_told(report.run.thresholds),
    }


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
        "stage_costs": view.stage_costs,
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
