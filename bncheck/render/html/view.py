"""Templates show the report's values grouped and told as they stand here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bncheck.core import FloatArray
from bncheck.render.words.answer import compared
from bncheck.render.words.cells import count, number, span
from bncheck.render.words.judged import concerning, layer_verdict
from bncheck.render.words.layers import KINDS
from bncheck.render.words.predictions import score_shown
from bncheck.render.words.ranking import worst_first
from bncheck.render.words.reasons import reason_words
from bncheck.render.words.report import alike
from bncheck.results import ERROR, INFO, WARNING, Finding, LayerReport, Report, RunCost
from bncheck.rules import RULES

LISTED = 20
"""Items of a list in the evidence before it says how many more there are."""
WORST = 5
BESIDE = 1000
"""Rows of the tables beside that of the layers."""
_UNKNOWN, _BEYOND = -1.0, 1e300
_TITLES = {rule.code: rule.title for rule in RULES}


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell of the table says, and the number it is sorted by."""

    text: str
    order: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One layer's line, and where on the page the rest is told."""

    layer: LayerReport
    target: str
    kind: str
    cells: tuple[Cell, ...]
    verdict: str
    severity: str
    facts: tuple[tuple[str, str], ...]
    worst: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that ask for the same thing, and where on the page they stand."""

    target: str
    code: str
    severity: str
    title: str
    fix: str
    findings: tuple[Finding, ...]
    accepted: str | None = None


COLUMNS = ("channels", "shift", "scale", "gap", "own", "noise")
WORST_COLUMNS = ("stored mean", "measured mean", "stored sd", "measured sd", "shift", "scale", "gap", "own")


def rows(report: Report) -> list[Row]:
    """Every layer in the order of the network."""
    findings, margin = concerning(report), report.run.thresholds["margin"]
    return [_row(at, layer, findings.get(layer.name, ()), margin) for at, layer in enumerate(report.layers, start=1)]


def groups(findings: Sequence[Finding]) -> list[Group]:
    """The findings that count, then those accepted."""
    accepted = [[finding] for finding in findings if finding.accepted is not None]
    return [_group(at, group) for at, group in enumerate([*alike(findings), *accepted], start=1)]


def evidence(finding: Finding) -> list[tuple[str, str]]:
    """The numbers that decided, one line each."""
    return [(key.replace("_", " "), value_words(value)) for key, value in finding.evidence.items()]


def stage_costs(cost: RunCost) -> list[tuple[str, str]]:
    """What each stage ran."""
    return [(stage.name, f"{stage.samples:,} samples") for stage in cost.stages]


def value_words(value: Any) -> str:
    """A value of the evidence or the options in one line."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {value_words(item)}" for key, item in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = ", ".join(value_words(item) for item in value[:LISTED]) or "none"
        return shown + (f" and {len(value) - LISTED} more" if len(value) > LISTED else "")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def tiles(report: Report) -> list[tuple[str, str]]:
    """The numbers one looks for first."""
    summary, effect = report.summary, report.effect
    name, values = compared(report)
    told = []
    if len(values) > 1:
        (before, shipped), (after, helped) = values[0], values[-1]
        change = f"{score_shown(name, before)} \N{RIGHTWARDS ARROW} {score_shown(name, after)}"
        told.append((f"{name} {shipped}, and {helped}", change))
    told.append(("layers measured", f"{summary.layers_measured} of {len(report.layers)}"))
    if summary.layers_skipped:
        told.append(("layers skipped", str(summary.layers_skipped)))
    if summary.gap is not None:
        told.append(("gap of the model", number(summary.gap)))
    if summary.own_gap is not None:
        told.append(("own: upstream errors removed", number(summary.own_gap)))
    if effect is not None and effect.predictions_changed is not None:
        told.append(("predictions changed by recalibrating", f"{effect.predictions_changed:.1%}"))
    elif effect is not None and effect.output_change is not None:
        told.append(("outputs moved by recalibrating", _percent(effect.output_change)))
    told += [(f"{name} {how}", score_shown(name, value)) for value, how in values if len(values) == 1]
    return told


def deviation(variance: FloatArray, eps: float) -> FloatArray:
    """What the layer divides by; NaN where variance and eps are negative together."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(variance + eps)


def _row(at: int, layer: LayerReport, findings: Sequence[Finding], margin: float) -> Row:
    counting = {finding.severity for finding in findings if finding.accepted is None}
    severity = next((name for name in (ERROR, WARNING, INFO) if name in counting), "")
    return Row(
        layer=layer,
        target=f"layer-{at}",
        kind=KINDS.get(layer.kind, layer.kind),
        cells=(
            Cell(str(layer.channels), layer.channels),
            Cell(number(layer.shift_max), order(layer.shift_max)),
            Cell(span(layer.scale_min, layer.scale_max), order(layer.scale_max)),
            Cell(number(layer.gap), order(layer.gap)),
            Cell(number(layer.own_gap), order(layer.own_gap)),
            Cell(number(layer.noise), order(layer.noise)),
        ),
        verdict=layer_verdict(layer, findings, margin),
        severity=severity,
        facts=tuple(_facts(layer)),
        worst=tuple(_worst(layer)),
    )


def order(value: float | None) -> float:
    """What is not measured comes first, what is not finite last."""
    if value is None:
        return _UNKNOWN
    return value if math.isfinite(value) else _BEYOND


def _facts(layer: LayerReport) -> list[tuple[str, str]]:
    facts = [("kind", layer.kind.replace("_", " ")), ("channels", str(layer.channels)), ("status", layer.status)]
    if layer.reason:
        facts.append(("reason", reason_words(layer.reason)))
    for name, value in (("eps", layer.stored_eps), ("momentum", layer.stored_momentum)):
        if value is not None:
            facts.append((name, f"{value:.3g}"))
    if layer.stored_updates is not None:
        facts.append(("updates", f"{layer.stored_updates:,}"))
    if layer.gap is not None:
        facts += [("gap", number(layer.gap)), ("own", number(layer.own_gap)), ("noise", number(layer.noise))]
        facts.append(("shift", number(layer.shift_max)))
        facts.append(("scale", span(layer.scale_min, layer.scale_max)))
    if layer.worst_channel is not None:
        facts.append(("worst channel", _worst_channel(layer, layer.worst_channel)))
    if layer.calls is not None and layer.calls > 1:
        facts.append(("calls per forward", str(layer.calls)))
    if layer.call_gaps is not None and len(layer.call_gaps) > 1:
        facts.append(("gap of each call", ", ".join(map(number, layer.call_gaps))))
    return facts


def _worst_channel(layer: LayerReport, channel: int) -> str:
    """One channel in a line: how far off, and from what to what."""
    told, table, eps = f"{channel}, gap {number(layer.gap_max)}", layer.table, layer.stored_eps or 0.0
    if table is None:
        return told
    stored, measured = deviation(table.stored_var, eps), deviation(table.measured_var, eps)
    return (
        f"{told}: mean {_digits(float(table.stored_mean[channel]))} stored, "
        f"{_digits(float(table.measured_mean[channel]))} measured; "
        f"sd {_digits(float(stored[channel]))} stored, {_digits(float(measured[channel]))} measured"
    )


def _worst(layer: LayerReport) -> list[tuple[str, ...]]:
    """The channels of the largest gaps, as rows of text: the channel, then `WORST_COLUMNS`."""
    table = layer.table
    if table is None:
        return []
    eps = layer.stored_eps or 0.0
    order = np.argsort(-np.nan_to_num(table.gap, nan=np.inf, posinf=np.inf), kind="stable")[:WORST]
    columns = (
        *(table.stored_mean, table.measured_mean, deviation(table.stored_var, eps), deviation(table.measured_var, eps)),
        *(table.shift, table.scale, table.gap, table.own_gap),
    )
    return [(str(channel), *(_digits(float(column[channel])) for column in columns)) for channel in order]


def _digits(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "not finite"


def _group(at: int, findings: Sequence[Finding]) -> Group:
    first = findings[0]
    return Group(
        target=f"finding-{at}",
        code=first.code,
        severity=first.severity,
        title=_TITLES.get(first.code, ""),
        fix=first.fix,
        findings=tuple(worst_first(findings)),
        accepted=first.accepted,
    )


def summed(layers: Sequence[LayerReport]) -> str:
    """How many layers a table has, by what became of them."""
    kinds = [(status, sum(layer.status == status for layer in layers)) for status in ("measured", "audited", "skipped")]
    told = ", ".join(f"{number_of} {status}" for status, number_of in kinds if number_of)
    return f"{count(len(layers), 'layer')}: {told}" if told else "no layers"
