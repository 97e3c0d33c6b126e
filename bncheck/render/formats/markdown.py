"""Markdown (GitHub's kind) makes a comment on a pull request, or the summary of a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bncheck.render.format import Format
from bncheck.render.repaired.closing import check_of_repair, closing_lines
from bncheck.render.told import judged_report
from bncheck.render.words.cells import count, number, printable, span
from bncheck.render.words.difference import (
    LEGEND,
    LEGEND_OF_TENSORS,
    counts,
    headline_of_difference,
    layers_told,
    shape_of,
    tensors_told,
    updates,
    verdict_of_layer,
)
from bncheck.render.words.judged import concerning, layer_verdict
from bncheck.render.words.layers import KINDS, MEANINGS
from bncheck.render.words.ranking import worst_first
from bncheck.render.words.repair import headings, statistics_words, verdict_lines
from bncheck.render.words.report import (
    ALIKE,
    about_data,
    about_model,
    alike,
    closing,
    effect_lines,
    headline,
    next_step,
    noted,
)
from bncheck.render.words.side import side_tables
from bncheck.results import (
    MEASURED,
    Difference,
    Finding,
    LayerChange,
    LayerReport,
    RepairResult,
    Report,
    TensorChange,
    compared_with,
)

MARKER = "<!-- bncheck -->"
"""The first line, by which a comment can be found again and brought up to date."""
ROWS = 200
"""The most layers in the table: a comment on GitHub holds 65,536 characters."""
LONGEST = 60_000
_SPECIAL = re.compile(r"([\\*_{}\[\]<>#|~&])")
_MEASURED = ("shift", "scale", "gap", "own", "noise")


def of_report(report: Report) -> str:
    """The verdict and the findings in full, the tables folded away; never longer than a comment may be."""
    return _fitting([MARKER, f"## bncheck: {_escaped(headline(report))}", *_parts(report)])


def of_repair(repair: RepairResult) -> str:
    """What the repair is worth, every layer before and after, then the report on the repaired model."""
    first, *others = verdict_lines(repair)
    report = judged_report(repair)
    about = "The repaired model" if repair.after is not None else "The model as it came"
    parts = [MARKER, f"## bncheck repair: {_escaped(first)}"]
    if done := headings(repair):
        parts.append("  \n".join(map(_escaped, done)))
    parts += [*map(_escaped, others), *map(_escaped, closing_lines(repair))]
    if (check := check_of_repair(repair)) is not None:
        parts.append(f"**Then check:**\n{_block(check)}")
    if repair.notes:
        parts.append("\n".join(f"- {_escaped(note)}" for note in repair.notes))
    if repair.layers:
        parts.append(_folded(f"{count(len(repair.layers), 'layer')} before and after", _repaired(repair)))
    return _fitting([*parts, f"## {about}: {_escaped(headline(report))}", *_parts(report)])


def of_difference(difference: Difference) -> str:
    """What moved and what was found, the tables folded away."""
    parts = [MARKER, f"## bncheck diff: {_escaped(headline_of_difference(difference))}"]
    files = (difference.before, difference.after)
    parts.append("  \n".join(f"{_code(model.path)}: {_escaped(about_model(model))}" for model in files))
    parts += map(_escaped, counts(difference))
    parts += [_findings(group) for group in alike(difference.findings)]
    if ending := noted(difference.run):
        parts.append("\n".join(f"- {_escaped(line)}" for line in ending))
    if layers := layers_told(difference):
        parts.append(_folded(f"{count(len(layers), 'layer')} that moved or had to stay", _compared(layers)))
    if tensors := tensors_told(difference):
        parts.append(_folded(f"{count(len(tensors), 'other tensor')} that moved", _moved(tensors)))
    return _fitting(parts)


def _fitting(parts: list[str]) -> str:
    """As many of the parts as a comment may hold."""
    text = "\n\n".join(parts) + "\n"
    while len(text) > LONGEST and len(parts) > 1:
        parts.pop()
        text = "\n\n".join([*parts, "*Shortened: the JSON report has the rest.*"]) + "\n"
    return text


def _parts(report: Report) -> Iterator[str]:
    yield f"{_code(report.model.path)}: {_escaped(about_model(report.model))}  \n{_escaped(about_data(report))}"
    yield from map(_escaped, effect_lines(report))
    for group in alike(report.findings):
        yield _findings(group)
    ending = [*closing(report), *noted(report.run)]
    if ending:
        yield "\n".join(f"- {_escaped(line)}" for line in ending)
    if (step := next_step(report)) is not None:
        yield f"**{step[0]}:**\n{_block(step[1])}"
    if report.layers:
        yield _folded(count(len(report.layers), "layer"), _layers(report))
    if report.batch_sizes:
        yield _folded(
            f"Mini-batches of these data against the {compared_with(report.run.noted)} statistics", _batch_sizes(report)
        )
    for side in side_tables(report):
        lines = _table(side.titles, side.rows, left=set(side.left))
        yield _folded(_escaped(side.caption.rstrip(":")), [*lines, "", f"{side.more} {side.legend}".strip()])


def _findings(group: Sequence[Finding]) -> str:
    first = group[0]
    lines = [f"- {_escaped(finding.message)}" for finding in worst_first(group)[:ALIKE]]
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
        cells = [_named(layer.name), KINDS.get(layer.kind, layer.kind), str(layer.channels)]
        rows.append([*cells, *(_numbers(layer) if measured else ()), verdict])
    lines = _table(titles, rows, left={"layer", "kind", "verdict"})
    if len(shown) < len(report.layers):
        lines += ["", f"And {len(report.layers) - len(shown)} more: the JSON report has all."]
    if measured:
        lines += ["", *(f"{title}: {MEANINGS[title]}  " for title in _MEASURED)]
    return lines


def _repaired(repair: RepairResult) -> list[str]:
    rows = [
        [
            _named(layer.name),
            *map(number, (layer.gap_before, layer.gap_after, layer.own_before, layer.own_after, layer.error)),
            statistics_words(layer, repair.method),
        ]
        for layer in repair.layers[:ROWS]
    ]
    titles = ["layer", "gap before", "gap after", "own before", "own after", "error", "statistics"]
    return [*_table(titles, rows, left={"layer", "statistics"}), *_more(len(repair.layers))]


def _compared(layers: Sequence[LayerChange]) -> list[str]:
    rows = [
        [
            _named(layer.name),
            KINDS.get(layer.kind, layer.kind),
            str(layer.channels),
            number(layer.shift_max),
            span(layer.scale_min, layer.scale_max),
            number(layer.gap),
            updates(layer),
            verdict_of_layer(layer),
        ]
        for layer in layers[:ROWS]
    ]
    titles = ["layer", "kind", "ch", "shift", "scale", "gap", "updates", "verdict"]
    return [*_table(titles, rows, left={"layer", "kind", "verdict"}), *_more(len(layers)), "", LEGEND]


def _moved(tensors: Sequence[TensorChange]) -> list[str]:
    rows = [[_named(tensor.name), shape_of(tensor), number(tensor.change)] for tensor in tensors[:ROWS]]
    lines = _table(["tensor", "shape", "change"], rows, left={"tensor"})
    return [*lines, *_more(len(tensors)), "", LEGEND_OF_TENSORS]


def _more(total: int) -> list[str]:
    return ["", f"And {total - ROWS} more: the JSON report has all."] if total > ROWS else []


def _named(layer: str) -> str:
    return _code(layer) if layer else "(the model)"


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


def _block(command: str) -> str:
    """A command, as code that can be copied."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", command)), 3)
    told = printable(command).replace("\n", "�")
    return f"{fence}\n{told}\n{fence}"


def _code(name: str) -> str:
    """A name from a file, as code."""
    return "`" + printable(name).replace("\n", "�").replace("`", "'") + "`"


FORMAT = Format("markdown", (".md",), of_report, of_repair, of_difference)
