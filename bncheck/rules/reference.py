"""Group 4, beside a reference: what was exported is not what the checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase

from bncheck.core.thresholds import OUTPUT_AGREEMENT
from bncheck.evidence import Evidence, OutputAgreement
from bncheck.evidence.comparison import ComparedLayer, Comparison
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, WARNING
from bncheck.rules.absent import some_names

_ROUNDING_ROOM = 50
"""Relative differences of outputs that are rounding, in units of the coarsest type's precision."""
_ALSO = " (or gamma and beta: a fold shows them together)"


def frozen_moved(evidence: Evidence) -> Iterator[Finding]:
    """BN402: layers that were to stay as they are in the reference have other statistics."""
    comparison, patterns = evidence.comparison, evidence.expect_frozen
    if comparison is None or not patterns:
        return
    moved = [
        layer
        for layer in comparison.layers
        if not layer.agrees
        and any(fnmatchcase(name, pattern) for name in (layer.name, layer.original) for pattern in patterns)
    ]
    if not moved:
        return
    worst = max(moved, key=lambda layer: layer.error if math.isfinite(layer.error) else math.inf)
    which = "statistics of a frozen layer" if len(moved) == 1 else f"statistics of {len(moved)} frozen layers"
    yield Finding(
        code="BN402",
        severity=WARNING,
        layers=tuple(layer.name for layer in moved),
        message=(
            f"The {which} moved since {comparison.path}: {some_names([layer.name for layer in moved])}; the largest "
            f"gap is {_shown(worst.error)}, in {worst.name or 'the model itself'}."
        ),
        fix=(
            "Keep frozen layers in eval mode while the rest is trained: requires_grad = False stops the optimizer, not "
            "the running statistics, and model.train() puts every layer back into train mode."
        ),
        evidence={
            "reference": comparison.path,
            "layers": [layer.name for layer in moved],
            "gaps": [layer.error if math.isfinite(layer.error) else str(layer.error) for layer in moved],
            "expected": list(patterns),
            "compared": len(comparison.layers),
        },
    )


def _shown(gap: float) -> str:
    return f"{gap:.3g}" if math.isfinite(gap) else "not a number"


def export_differs(evidence: Evidence) -> Iterator[Finding]:
    """BN403: the export holds other statistics than its reference, or gives other outputs from the same ones."""
    comparison = evidence.comparison
    if comparison is None:
        return
    differing = [layer for layer in comparison.layers if not layer.agrees]
    if differing:
        yield _other_statistics(comparison, differing)
    elif evidence.agreement is not None and _outputs_differ(evidence.agreement):
        yield _other_outputs(evidence.agreement, comparison)


def _other_statistics(comparison: Comparison, differing: list[ComparedLayer]) -> Finding:
    worst = max(differing, key=lambda layer: layer.error)
    source = f"the stamp of {comparison.path}" if comparison.stamped else comparison.path
    folded = all(layer.folded for layer in differing)
    return Finding(
        code="BN403",
        severity=ERROR,
        layers=tuple(layer.name for layer in differing),
        message=(
            f"{len(differing)} of {len(comparison.layers)} layers were {'folded' if folded else 'exported'} with other "
            f"statistics than {source} holds: {some_names([layer.name for layer in differing])}; the largest gap "
            f"between the two is {worst.error:.2g}, in {worst.name or 'the model itself'}."
        ),
        fix=(
            "Export again from this checkpoint, or name the one it was exported from: statistics were recalibrated, "
            f"trained on or averaged in between{_ALSO if folded else ''}."
        ),
        evidence={
            "reference": comparison.path,
            "layers": [layer.name for layer in differing],
            "gaps": [layer.error if math.isfinite(layer.error) else str(layer.error) for layer in differing],
            "worst_channel": worst.worst_channel,
            "compared": len(comparison.layers),
        },
    )


def _outputs_differ(agreement: OutputAgreement) -> bool:
    if agreement.precision is None:
        return False  # quantization changes outputs by design
    return not agreement.output_change <= max(OUTPUT_AGREEMENT, _ROUNDING_ROOM * agreement.precision)


def _other_outputs(agreement: OutputAgreement, comparison: Comparison) -> Finding:
    same = "the statistics of the layers found in both" if comparison.unfound else "the statistics"
    where = ""
    if agreement.parts_at is not None:
        after = f", after {agreement.agrees_until}" if agreement.agrees_until is not None else ""
        where = f" They part before {agreement.parts_at or 'the first layer'}{after}."
    elif agreement.agrees_until is not None:
        where = f" Every layer found in both is fed the same: they part after {agreement.agrees_until}, the last one."
    return Finding(
        code="BN403",
        severity=ERROR,
        layers=(),
        message=(
            f"The outputs differ from those of {agreement.path} by {agreement.output_change:.1%} (relative L2, "
            f"{agreement.samples} samples), although {same} are the same.{where}"
        ),
        fix=(
            "Compare what stands between these layers in both: other weights, another mode (dropout), or an operator "
            "that was exported differently."
        ),
        evidence={
            "reference": agreement.path,
            "samples": agreement.samples,
            "output_change": agreement.output_change,
            "predictions_changed": agreement.predictions_changed,
            "parts_at": agreement.parts_at,
            "agrees_until": agreement.agrees_until,
        },
    )
