"""A failed test tells its report in brief: the answer, the layers it is about, how to read on."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from bncheck.render.words.answer import answer, subject
from bncheck.render.words.cells import count, number
from bncheck.render.words.judged import concerning, layer_verdict
from bncheck.render.words.report import about_data, about_model, alike, closing
from bncheck.results import INFO, MEASURED, LayerReport, Report

WIDTH = 100
SHOWN = 8
"""Layers in the table, the worst first: a test's output is read between others."""


def failure_message(report: Report) -> str:
    """Why the report fails a test, in some twenty lines of plain text."""
    told = answer(report)
    lines = [
        *_wrapped(told.cause),
        *_wrapped(told.place),
        *_wrapped(told.cost),
        *_wrapped(told.action),
        "",
        f"{report.model.path}: {about_model(report.model)}",
        about_data(report),
        "",
        *_table(report),
        *_others(report),
        *(line for text in closing(report) for line in _wrapped(text)),
    ]
    return "\n".join(lines)


def _table(report: Report) -> Iterator[str]:
    found = concerning(report)
    margin = report.run.thresholds["margin"]
    verdicts = {layer.name: layer_verdict(layer, found.get(layer.name, ()), margin) for layer in report.layers}
    telling = sorted((layer for layer in report.layers if verdicts[layer.name] != "ok"), key=_badness, reverse=True)
    if not telling:
        telling = sorted((layer for layer in report.layers if layer.status == MEASURED), key=_badness, reverse=True)[:1]
    if not telling:
        return
    shown = telling[:SHOWN]
    width = max(len("layer"), *(len(_name(layer)) for layer in shown))
    yield f"{'layer':{width}}  {'gap':>6}  {'own':>6}  findings"
    for layer in shown:
        yield f"{_name(layer):{width}}  {number(layer.gap):>6}  {number(layer.own_gap):>6}  {verdicts[layer.name]}"
    if len(telling) > SHOWN:
        yield f"... and {count(len(telling) - SHOWN, 'more layer')}"
    yield ""


def _others(report: Report) -> Iterator[str]:
    """Findings besides the one that the answer tells, each kind by its first."""
    told = subject(report)
    groups = [group for group in alike(report.findings) if group[0].severity != INFO and told not in group]
    for group in groups:
        finding = group[0]
        yield from _wrapped(f"Also {finding.code} ({finding.severity}): {finding.message}")
    if groups:
        yield ""


def _name(layer: LayerReport) -> str:
    return layer.name or "the model"


def _badness(layer: LayerReport) -> float:
    if layer.gap is None:
        return -1.0
    return layer.gap if math.isfinite(layer.gap) else math.inf


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
