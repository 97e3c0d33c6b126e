"""Putting a report together from the evidence and the findings."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import numpy.typing as npt

from bncheck import __version__
from bncheck.core import NormLayer, rms
from bncheck.evidence import DriftEvidence, EffectEvidence, Evidence, MeasuredLayer, SliceEvidence
from bncheck.formats import Backend
from bncheck.gate import Coverage, judge_findings
from bncheck.measure import KnownModel
from bncheck.results import (
    AUDITED,
    MEASURED,
    SKIPPED,
    BatchSize,
    ChannelTable,
    Drift,
    DriftLayer,
    Effect,
    Finding,
    LayerReport,
    ModelFacts,
    Report,
    Run,
    SliceLayer,
    SliceReport,
    Summary,
    untold_layers,
)
from bncheck.tensors import HAS_TORCH
from bncheck.vocabulary import Kind, Reason, Severity

UNJUDGED = (Reason.FOLDED, Reason.UNTOLD)
"""Why what a layer stores says nothing about any data."""
_OF_DATA = "BN6"
_MORE_SAMPLES = "Give more samples first: BN707 says how many."


@np.errstate(all="ignore")  # values out of a file may be of any size
def assemble(model: KnownModel, evidence: Evidence, findings: Sequence[Finding], run: Run) -> Report:
    """The report that `evidence` and the findings kept of it make.

    Args:
        model: the model inspected.
        evidence: what was observed.
        findings: what was concluded, the gravest first.
        run: how to repeat it, and what it was asked for.
    """
    findings = tuple(finding.told(run.spelling) for finding in findings)
    layers = tuple(_layer_report(layer, evidence, findings) for layer in evidence.layers)
    measured = [layer for layer in layers if layer.status == MEASURED]
    skipped = [layer for layer in layers if layer.status == SKIPPED]
    smallest = evidence.smallest_detectable_gap
    coverage = Coverage(
        with_statistics=sum(
            (layer.has_statistics or layer.missing) and evidence.skipped.get(layer.name) not in UNJUDGED
            for layer in evidence.layers
        ),
        measured=None if evidence.data is None and not evidence.not_run else len(measured),
        conclusive=evidence.data is None or (smallest is not None and smallest <= run.margin),
        incomplete=bool(skipped) or evidence.dropped > 0,
        untold=untold_layers(layers),
    )
    if not coverage.conclusive:
        findings = tuple(map(_with_more_samples, findings))
    verdict = judge_findings(findings, coverage, fail_on=run.asked.fail_on, strict=run.asked.strict)
    gaps = [layer.gap for layer in measured if layer.gap is not None]
    own = [layer.own_gap for layer in measured if layer.own_gap is not None]
    return Report(
        version=__version__,
        run=run,
        model=ModelFacts(model.path, model.sha256, model.format, len(layers), model.runnable),
        data=evidence.data,
        summary=Summary(
            verdict=verdict.verdict,
            exit_code=verdict.exit_code,
            gap=rms(gaps) if gaps else None,
            own_gap=rms(own) if own else None,
            smallest_detectable_gap=smallest,
            layers_measured=len(measured),
            layers_skipped=len(skipped),
            samples_left_out=evidence.dropped,
        ),
        effect=_effect(evidence.effect),
        batch_sizes=tuple(
            BatchSize(row.batch_size, row.gap, row.shift, row.scale_low, row.scale_high) for row in evidence.batch_sizes
        ),
        findings=findings,
        layers=layers,
        slices=tuple(map(_slice_report, evidence.slices)),
        drift=_drift(evidence.drift),
    )


def _drift(found: DriftEvidence | None) -> Drift | None:
    if found is None:
        return None
    layers = tuple(
        DriftLayer(name, one.gap, one.noise, one.lower, one.shift_max, one.scale_min, one.scale_max)
        for name, one in found.layers.items()
    )
    return Drift(found.since, found.then, found.gap, found.noise, layers)


def _slice_report(found: SliceEvidence) -> SliceReport:
    surest = max(found.layers, key=lambda layer: layer.sure, default=None)
    return SliceReport(
        name=found.name,
        samples=found.samples,
        gap=found.gap,
        noise=found.noise,
        sure_gap=max(found.sure, 0.0),
        worst_layer=None if surest is None else surest.name,
        accuracy=found.accuracy,
        effect=_effect(found.effect),
        layers=tuple(
            SliceLayer(
                layer.name,
                layer.gap,
                layer.noise,
                max(layer.sure, 0.0),
                layer.shift_max,
                layer.scale_min,
                layer.scale_max,
            )
            for layer in found.layers
        ),
    )


def _with_more_samples(finding: Finding) -> Finding:
    """A remark on data that are too few advises no more than how many it takes."""
    is_of_data = finding.code.startswith(_OF_DATA) and finding.severity == Severity.INFO
    return replace(finding, fix=_MORE_SAMPLES) if is_of_data else finding


def _effect(effect: EffectEvidence | None) -> Effect | None:
    if effect is None:
        return None
    task = effect.task
    return Effect(
        predictions_changed=effect.predictions_changed,
        output_change=effect.output_change,
        accuracy=effect.accuracy,
        task=None if task is None else task.task,
        score=None if task is None else task.as_score(),
        loss=None if task is None else task.as_loss(),
        head=effect.head,
        heads=effect.of_heads(),
    )


def _layer_report(layer: NormLayer, evidence: Evidence, findings: Sequence[Finding]) -> LayerReport:
    measured = evidence.measured.get(layer.name)
    reason = evidence.skipped.get(layer.name) if measured is None else None
    report = LayerReport(
        name=layer.name,
        kind=Kind(layer.kind),
        channels=layer.channels,
        status=SKIPPED if reason else AUDITED,
        reason=reason,
        stored_eps=layer.eps,
        stored_momentum=layer.momentum,
        stored_updates=layer.updates,
        codes=tuple(dict.fromkeys(finding.code for finding in findings if layer.name in finding.layers)),
    )
    return report if measured is None else _with_measurements(report, measured)


def _with_measurements(report: LayerReport, measured: MeasuredLayer) -> LayerReport:
    gaps, visible = measured.inherited, measured.visible
    finite = bool(np.isfinite(gaps.gap[visible]).any())
    return replace(
        report,
        status=MEASURED,
        calls=measured.calls,
        call_gaps=measured.call_gaps,
        gap=measured.gap,
        gap_max=float(np.max(gaps.gap[visible])),
        worst_channel=int(np.argmax(np.where(visible, gaps.gap, -np.inf))) if finite else None,  # NaN is the largest
        own_gap=measured.own_gap,
        noise=rms(measured.noise[visible]),
        shift_max=float(np.max(np.abs(gaps.shift[visible]))),
        scale_min=float(np.min(gaps.scale[visible])),
        scale_max=float(np.max(gaps.scale[visible])),
        table=_table(measured),
    )


def _table(measured: MeasuredLayer) -> ChannelTable:
    """The channels, without numbers where nothing of them can be seen."""
    gaps, visible = measured.inherited, measured.visible
    own = measured.own.gap if measured.own is not None else np.full(measured.layer.channels, np.nan)

    def shown(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.where(visible, values, np.nan)

    return ChannelTable(
        stored_mean=np.asarray(measured.layer.mean),
        stored_var=np.asarray(measured.layer.var),
        measured_mean=shown(measured.mean),
        measured_var=shown(measured.var),
        shift=shown(gaps.shift),
        scale=shown(gaps.scale),
        gap=shown(gaps.gap),
        own_gap=shown(own),
        noise=shown(measured.noise),
    )


def versions_of(model: Backend) -> dict[str, str]:
    """By name, of what measured this model."""
    versions = {"bncheck": __version__, "python": platform.python_version()}
    for package in (*(("torch",) if HAS_TORCH else ()), "numpy", *model.packages):
        versions[package] = _version_of(package)
    return versions


@cache
def _version_of(package: str) -> str:
    """What is installed is read once: reading it takes longer than many an audit."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
