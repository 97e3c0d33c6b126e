"""What an inspection found, as values: the contract's JSON, and the rows of its CSV.

Numbers here are plain floats, NaN or `None` where not measured; characters belong to the renderers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bncheck.results.finding import Finding
from bncheck.results.run import Asked
from bncheck.vocabulary import Severity, Status, Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas

    FloatArray = npt.NDArray[np.float64]

Json = dict[str, Any]

SCHEMA_VERSION = 1
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SEVERITIES = tuple(Severity)
OK, FINDINGS, INCONCLUSIVE, NOT_CHECKED = Verdict.OK, Verdict.FINDINGS, Verdict.INCONCLUSIVE, Verdict.NOT_CHECKED
MEASURED, AUDITED, SKIPPED = Status.MEASURED, Status.AUDITED, Status.SKIPPED
LEFT_OUT = "samples left out"
"""What the note on samples that a fixed batch size could not take says, by which it is known."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable:
    """A measured layer's channels; every array has shape (C,), NaN where not measured."""

    stored_mean: FloatArray
    stored_var: FloatArray
    measured_mean: FloatArray
    measured_var: FloatArray
    shift: FloatArray
    scale: FloatArray
    gap: FloatArray
    own_gap: FloatArray
    noise: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LayerReport:
    """One normalization layer: measured, audited only, or skipped for a reason. Units are those of the gap."""

    name: str
    kind: str
    channels: int
    status: str
    reason: str | None = None
    calls: int | None = None
    call_gaps: tuple[float, ...] | None = None
    stored_eps: float | None = None
    stored_momentum: float | None = None
    stored_updates: int | None = None
    gap: float | None = None
    gap_max: float | None = None
    worst_channel: int | None = None
    own_gap: float | None = None
    noise: float | None = None
    shift_max: float | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    codes: tuple[str, ...] = ()
    table: ChannelTable | None = None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Top-1 accuracy (or the user's metric) with each set of statistics; recalibrated ones are cross-fitted."""

    stored: float | None
    batch: float | None
    recalibrated: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What the gap costs in predictions.

    Attributes:
        predictions_changed: fraction that differs between stored and recalibrated statistics, the latter
            measured on the other half of the data; `None` for outputs that are no class scores.
        output_change: relative L2 change of the outputs between the two.
        accuracy: `None` without labels.
    """

    predictions_changed: float | None
    output_change: float | None
    accuracy: Accuracy | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The file that was inspected."""

    path: str
    sha256: str | None
    format: str
    norm_layers: int


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The data it was run on."""

    source: str
    samples: int
    batch_size: int
    labelled: bool


@dataclass(frozen=True, slots=True)
class BatchSize:
    """One row of the batch-size table; see `bncheck.core.BatchSizeRow`."""

    batch_size: int
    gap: float
    shift: float
    scale_low: float
    scale_high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The verdict and the numbers behind it."""

    verdict: Verdict
    exit_code: int
    gap: float | None
    own_gap: float | None
    smallest_detectable_gap: float | None
    layers_measured: int
    layers_skipped: int


@dataclass(frozen=True, slots=True)
class Run:
    """How to repeat the report."""

    command: str
    options: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    thresholds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything one inspection found."""

    version: str
    run: Run
    model: ModelFacts
    data: DataFacts | None
    summary: Summary
    effect: Effect | None
    batch_sizes: tuple[BatchSize, ...]
    findings: tuple[Finding, ...]
    layers: tuple[LayerReport, ...]

    def to_dict(self) -> Json:
        """The contract's JSON: schema version 1, every number finite or `None`."""
        document: Json = {
            "schema_version": SCHEMA_VERSION,
            "bncheck": self.version,
            "run": {name: value for name, value in asdict(self.run).items() if name != "asked"},
            "model": asdict(self.model),
            "data": asdict(self.data) if self.data else None,
            "summary": asdict(self.summary),
            "effect": asdict(self.effect) if self.effect else None,
            "batch_sizes": [asdict(row) for row in self.batch_sizes],
            "findings": [_finding_document(finding) for finding in self.findings],
            "layers": [_layer_document(layer) for layer in self.layers],
        }
        return {key: finite(value) for key, value in document.items()}

    def rows(self) -> list[Json]:
        """One flat row per layer: the JSON's layer fields in their order, nested ones joined by `_`."""
        return [_flat(finite(_layer_document(layer))) for layer in self.layers]

    def channel_rows(self) -> list[Json]:
        """One row per channel of every measured layer."""
        return [row for layer in self.layers if layer.table is not None for row in _channel_rows(layer)]

    def to_frame(self) -> pandas.DataFrame:
        """The CSV as a `pandas.DataFrame`, one row per layer."""
        import pandas

        return pandas.DataFrame(self.rows(), columns=LAYER_COLUMNS)

    def _repr_html_(self) -> str:
        """What a notebook shows; by name, because renderers stand on a higher floor."""
        return str(import_module("bncheck.render.html").render_fragment(self))


LAYER_COLUMNS = [
    *("name", "kind", "channels", "status", "reason", "calls", "call_gaps"),
    *("stored_eps", "stored_momentum", "stored_updates"),
    *("gap", "gap_max", "worst_channel", "own_gap", "noise", "shift_max", "scale_min", "scale_max", "codes"),
]
CHANNEL_ARRAYS = tuple(ChannelTable.__dataclass_fields__)
CHANNEL_COLUMNS = ["name", "channel", *CHANNEL_ARRAYS]


def finite(value: Any) -> Any:
    """`value` with every float that is not finite replaced by `None`, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _finding_document(finding: Finding) -> Json:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "layer": finding.layer,
        "layers": finding.layers,
        "message": finding.message,
        "fix": finding.fix,
        "measure": asdict(finding.measure),
        "cost": asdict(finding.cost) if finding.cost else None,
        "accepted": finding.accepted,
        "evidence": finding.evidence,
    }


def _layer_document(layer: LayerReport) -> Json:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "channels": layer.channels,
        "status": layer.status,
        "reason": layer.reason,
        "calls": layer.calls,
        "call_gaps": layer.call_gaps,
        "stored": {"eps": layer.stored_eps, "momentum": layer.stored_momentum, "updates": layer.stored_updates},
        "gap": layer.gap,
        "gap_max": layer.gap_max,
        "worst_channel": layer.worst_channel,
        "own_gap": layer.own_gap,
        "noise": layer.noise,
        "shift_max": layer.shift_max,
        "scale_min": layer.scale_min,
        "scale_max": layer.scale_max,
        "codes": layer.codes,
    }


def _flat(document: Json) -> Json:
    stored = {f"stored_{key}": value for key, value in document["stored"].items()}
    flat = {**document, **stored}
    flat["codes"] = " ".join(document["codes"])
    if document["call_gaps"] is not None:
        flat["call_gaps"] = " ".join("nan" if gap is None else repr(gap) for gap in document["call_gaps"])
    return {column: flat[column] for column in LAYER_COLUMNS}


def _channel_rows(layer: LayerReport) -> list[Json]:
    arrays = {name: getattr(layer.table, name) for name in CHANNEL_ARRAYS}
    return [
        {
            "name": layer.name,
            "channel": channel,
            **{name: finite(float(array[channel])) for name, array in arrays.items()},
        }
        for channel in range(layer.channels)
    ]
