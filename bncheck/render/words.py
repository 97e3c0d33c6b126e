"""What a report says in plain words; shared by the formats that people read."""

from __future__ import annotations

import math

from bncheck.report import (
    AUDITED,
    ERROR,
    FINDINGS,
    INCONCLUSIVE,
    INFO,
    NOT_CHECKED,
    SKIPPED,
    WARNING,
    LayerReport,
    Report,
)


def layer_verdict(layer: LayerReport, margin: float) -> str:
    """A layer's own line: its findings, why it was skipped, or where its gap comes from."""
    if layer.codes:
        return " ".join(layer.codes)
    if layer.status == SKIPPED:
        return (layer.reason or "skipped").replace("-", " ")
    if layer.status == AUDITED or layer.gap is None:
        return "audited"
    if not math.isfinite(layer.gap):
        return "not finite"
    if layer.gap <= margin:
        return "ok"
    if layer.own_gap is not None and layer.own_gap <= margin:
        return "inherited"
    return "gap"


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    summary = report.summary
    errors = sum(finding.severity == ERROR for finding in report.findings)
    warnings = sum(finding.severity == WARNING for finding in report.findings)
    if summary.verdict == FINDINGS:
        counts = [_count(errors, "error"), _count(warnings, "warning")]
        return f"Found {' and '.join(count for count in counts if count)}."
    if summary.verdict == NOT_CHECKED:
        if report.model.norm_layers and report.data is not None and summary.layers_measured == 0:
            return "Not checked: no layer with stored statistics was reached by these data."
        return "Not checked: there is no normalization layer with stored statistics in this file."
    if summary.verdict == INCONCLUSIVE:
        return "Inconclusive: too few samples to tell."
    if report.data is None:
        return "Nothing wrong in the stored values. Whether they describe your data takes data: --data."
    beyond = [layer for layer in report.layers if layer.gap is not None and layer.gap > _margin_of(report)]
    if not beyond:
        return "The stored statistics describe these data."
    if any(finding.code == "BN603" for finding in report.findings):
        return "The data differ from the stored statistics, without a clear harm to the predictions."
    return (
        f"No fault found: {_count(len(beyond), 'layer')} beyond {_margin_of(report)}, but these samples "
        "cannot tell that from noise."
    )


def effect_lines(report: Report) -> list[str]:
    """The gap of the model, and what it does to the predictions."""
    lines = []
    summary = report.summary
    if summary.gap is not None and not math.isfinite(summary.gap):
        lines.append("Where statistics or inputs are not finite there is no gap to give.")
    elif summary.gap is not None:
        own = (
            ""
            if summary.own_gap is None
            else f"; the layers' own gap, upstream errors removed, is {summary.own_gap:.2f}"
        )
        lines.append(f"The gap over all layers is {summary.gap:.2f}{own}. {_margin(report)}")
        lines += _worst(report)
    effect = report.effect
    if effect is None:
        return lines
    if effect.accuracy is not None:
        accuracy = effect.accuracy
        parts = [
            f"{_percent(value)} {name}"
            for value, name in (
                (accuracy.stored, "as shipped"),
                (accuracy.batch, "normalized by the batch"),
                (accuracy.recalibrated, "with statistics from other samples of these data"),
            )
            if value is not None
        ]
        lines.append(f"Accuracy: {', '.join(parts)}.")
    if effect.predictions_changed is not None:
        lines.append(
            f"Statistics from other samples of these data change {effect.predictions_changed:.1%} of the predictions."
        )
    elif effect.output_change is not None:
        lines.append(
            f"With statistics from other samples of these data the outputs move by {effect.output_change:.1%}."
        )
    return lines


def closing(report: Report) -> list[str]:
    """What else there is to know: how to get further from here."""
    lines = []
    if report.data is None and report.model.format in ("state_dict", "safetensors"):
        lines.append(
            "Tensors only: to run it on data, name its architecture too: "
            f"bncheck inspect {report.model.path} --arch FILE.py:CALLABLE --data D"
        )
    codes = sorted({finding.code for finding in report.findings if finding.severity != INFO})
    if codes:
        lines.append(f"More: bncheck rule {codes[0]}" + (f" (also {', '.join(codes[1:])})" if codes[1:] else ""))
    return lines


def _margin(report: Report) -> str:
    margin = _margin_of(report)
    smallest = report.summary.smallest_detectable_gap
    if smallest is None:
        return f"Healthy layers stay below {margin}."
    return f"Healthy layers stay below {margin}; in these samples gaps from {smallest:.2f} on would show."


def _margin_of(report: Report) -> float:
    return report.run.thresholds["margin"]


def _worst(report: Report) -> list[str]:
    measured = [layer for layer in report.layers if layer.gap_max is not None and math.isfinite(layer.gap_max)]
    if not measured:
        return []
    worst = max(measured, key=lambda layer: layer.gap_max or 0.0)
    return [f"Worst channel: {worst.worst_channel} of {worst.name or 'the model'}, gap {worst.gap_max:.2f}."]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _count(number: int, noun: str) -> str:
    return "" if number == 0 else f"{number} {noun}{'' if number == 1 else 's'}"
