"""The report as Markdown (GitHub's kind): a comment on a pull request, the summary of a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bncheck.render.terminal.layer_table import KINDS, MEANINGS
from bncheck.render.words.cells import count, number, printable, span
from bncheck.render.words.report import (
    ALIKE,
    about_data,
    about_model,
    alike,
    closing,
    concerning,
    effect_lines,
    headline,
    layer_verdict,
    noted,
)
from bncheck.results.finding import Finding
from bncheck.results.report import MEASURED, LayerReport, Report

MARKER = "<!-- bncheck -->"
"""The first line, by which a comment can be found again and brought up to date."""
ROWS = 200
"""The most layers in the table: a comment on GitHub holds 65,536 characters."""
LONGEST = 60_000
_SPECIAL = re.compile(r"([\\*_{}\[\]<>#|~&])")
_MEASURED = ("shift", "scale", "gap", "own", "noise")


def render_markdown(report: Report) -> str:
    """The verdict and the findings in full, the tables folded away; never longer than a comment may be."""
    parts = list(_parts(report))
    text = "\n\n".join(parts) + "\n"
    while len(text) > LONGEST and len(parts) > 1:
        parts.pop()
        text = "\n\n".join([*parts, "*Shortened: the JSON report has the rest.*"]) + "\n"
    return text


def _parts(report: Report) -> Iterator[str]:
    yield MARKER
    yield f"## bncheck: {_escaped(headline(report))}"
    yield f"{_code(report.model.path)}: {_escaped(about_model(report.model))}  \n{_escaped(about_data(report))}"
    yield from map(_escaped, effect_lines(report))
    for group in alike(report.findings):
        yield _findings(group)
    ending = [*closing(report), *noted(report.run)]
    if ending:
        yield "\n".join(f"- {_escaped(line)}" for line in ending)
    if report.layers:
        yield _folded(count(len(report.layers), "layer"), _layers(report))
    if report.batch_sizes:
        yield _folded("Mini-batches of these data against the stored statistics", _batch_sizes(report))


def _findings(group: Sequence[Finding]) -> str:
    first = group[0]
    lines = [f"- {_escaped(finding.message)}" for finding in group[:ALIKE]]
    if len(group) > ALIKE:
        lines.append(f"- And {len(group) - ALIKE} more of this kind: the table names the layers.")
    return "\n".join([f"### {first.code} {first.severity}", "", *lines, "", f"**What to do:** {_escaped(first.fix)}"])


def _layers(report: Report) -> list[str]:
    measured = any(layer.status == MEASURED for layer in report.layers)
    titles = ["layer", "kind", "ch", *(_MEASURED if measured else ()), "verdict"]
    findings, margin = concerning(report), report.run.thresholds["margin"]
    shown = _worth_showing(report, findings)
    rows = []
    for layer in shown:
        verdict = layer_verdict(layer, findings.get(layer.name, ()), margin)
        name = _code(layer.name) if layer.name else "(the model)"
        cells = [name, KINDS.get(layer.kind, layer.kind), str(layer.channels)]
        rows.append([*cells, *(_numbers(layer) if measured else ()), verdict])
    lines = _table(titles, rows, left={"layer", "kind", "verdict"})
    if len(shown) < len(report.layers):
        lines += ["", f"And {len(report.layers) - len(shown)} more: the JSON report has all."]
    if measured:
        lines += ["", *(f"{title}: {MEANINGS[title]}  " for title in _MEASURED)]
    return lines


def _worth_showing(report: Report, findings: dict[str, list[Finding]]) -> list[LayerReport]:
    """As many layers as a comment can hold, in their order: those of findings first, then the largest gaps."""
    order = sorted(report.layers, key=lambda layer: (layer.name not in findings, -(layer.gap or 0.0)))
    kept = {layer.name for layer in order[:ROWS]}
    return [layer for layer in report.layers if layer.name in kept]


def _numbers(layer: LayerReport) -> list[str]:
    return [
        number(layer.shift_max),
        span(layer.scale_min, layer.scale_max),
        number(layer.gap),
        number(layer.own_gap),
        number(layer.noise),
    ]


def _batch_sizes(report: Report) -> list[str]:
    rows = [
        [str(row.batch_size), number(row.gap), number(row.shift), span(row.scale_low, row.scale_high)]
        for row in report.batch_sizes
    ]
    return _table(["batch size", "gap", "shift (95 %)", "scale (5 to 95 %)"], rows)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: set[str] | None = None) -> list[str]:
    rule = ["---" if title in (left or ()) else "---:" for title in titles]
    cells = [[_in_cell(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (titles, rule, *cells)]


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|") if text.startswith("`") else _escaped(text)


def _folded(summary: str, lines: Sequence[str]) -> str:
    return "\n".join([f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"])


def _escaped(text: str) -> str:
    """Text in which nothing is markup but the code between backticks."""
    parts = printable(text).replace("\n", " ").split("`")
    if len(parts) % 2 == 0:  # a lone backtick opens no code
        return _SPECIAL.sub(r"\\\1", "`".join(parts)).replace("`", "\\`")
    return "`".join(part if at % 2 else _SPECIAL.sub(r"\\\1", part) for at, part in enumerate(parts))


def _code(name: str) -> str:
    """A name from a file, as code."""
    return "`" + printable(name).replace("\n", "�").replace("`", "'") + "`"
