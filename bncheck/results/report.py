"""What an inspection found, as values: the contract's JSON, and the rows of its CSV.

Numbers here are plain floats, NaN or `None` where not measured; characters belong to the renderers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from bncheck.results.codec import Json, Origin, Written, decoded, encoded
from bncheck.results.earlier import COMPLETE, SCHEMA_VERSION, report_before, require_complete, require_version
from bncheck.results.finding import Finding
from bncheck.results.layer import ChannelTable, LayerReport
from bncheck.results.rows import CHANNEL_COLUMNS, LAYER_COLUMNS, channel_rows, layer_row
from bncheck.results.run import Asked, Run, asked_in
from bncheck.results.scores import Score
from bncheck.vocabulary import Severity, Status, Verdict

if TYPE_CHECKING:
    import pandas

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SEVERITIES = tuple(Severity)
OK, FINDINGS, INCONCLUSIVE, NOT_CHECKED = Verdict.OK, Verdict.FINDINGS, Verdict.INCONCLUSIVE, Verdict.NOT_CHECKED
MEASURED, AUDITED, SKIPPED = Status.MEASURED, Status.AUDITED, Status.SKIPPED
ADVICE = "Reports are written by `bncheck inspect MODEL --report json=FILE`."
_ORIGIN = Origin("the document", "report", ADVICE)
finite = encoded


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Top-1 accuracy (or the user's metric) with each set of statistics; recalibrated ones are cross-fitted."""

    stored: float | None
    batch: float | None
    recalibrated: float | None


@dataclass(frozen=True, slots=True)
class HeadEffect:
    """What the gap costs in one of several outputs that have labels of their own.

    Attributes:
        head: the output's name: its key or index, or its labels' where the outputs have lost theirs.
        task, score, loss: what it is judged by; see `Effect`.
        predictions_changed, output_change: see `Effect`.
    """

    head: str
    task: str | None
    score: Score | None
    loss: Score | None
    predictions_changed: float | None
    output_change: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What the gap costs in predictions.

    Attributes:
        predictions_changed: fraction that differs between stored and recalibrated statistics, the latter
            measured on the other half of the data; `None` for outputs that are no class scores.
        output_change: relative L2 change of the outputs between the two.
        accuracy: `None` without labels.
        task: the kind of task that the predictions are judged by; `None` where labels or outputs tell none.
        score: what that task is scored by; `None` without labels.
        loss: likewise; `None` for a user's metric.
        head: the output that all of this is about, the one that loses most, where several have labels of their own.
        heads: each of these; empty where there is one alone.
    """

    predictions_changed: float | None
    output_change: float | None
    accuracy: Accuracy | None
    task: str | None = None
    score: Score | None = None
    loss: Score | None = None
    head: str | None = None
    heads: tuple[HeadEffect, ...] = ()

    __json__: ClassVar = Written(added=frozenset({"task", "score", "loss", "head", "heads"}))


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The file that was inspected; whether there is a program to run is `None` in reports that do not say."""

    path: str
    sha256: str | None
    format: str
    norm_layers: int
    runnable: bool | None = None


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
    """The verdict and the numbers behind it.

    Attributes:
        verdict: what the report concludes.
        exit_code: what the process ends with.
        gap: root mean square over the measured layers; `own_gap` with upstream errors removed.
        smallest_detectable_gap: with so many samples; infinite where there were too few to tell any.
        layers_measured, layers_skipped: how many.
        samples_left_out: they fill no batch of the one size that the model takes, or are not finite.
        next: the command that does what the report advises; `None` where it advises none.
    """

    verdict: Verdict
    exit_code: int
    gap: float | None
    own_gap: float | None
    smallest_detectable_gap: float | None
    layers_measured: int
    layers_skipped: int
    samples_left_out: int = 0
    next: str | None = None

    __json__: ClassVar = Written(added=frozenset({"next"}))


def _with_nan(report: Report) -> Report:
    """The numbers of a report that measured layers were not finite where the JSON has null."""
    if not any(layer.status is Status.MEASURED for layer in report.layers):
        return report
    gap, smallest = report.summary.gap, report.summary.smallest_detectable_gap
    told = replace(
        report.summary,
        gap=math.nan if gap is None else gap,
        smallest_detectable_gap=math.inf if smallest is None else smallest,
    )
    return replace(report, summary=told)


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

    __json__: ClassVar = Written(
        places={"version": ("bncheck",)},
        derived={"schema_version": lambda _: SCHEMA_VERSION, COMPLETE: lambda _: True},
        first=("schema_version",),
        last=(COMPLETE,),
        earlier=report_before,
        settled=_with_nan,
    )

    def to_dict(self) -> Json:
        """The contract's JSON: schema version 1, every number finite or `None`."""
        document: Json = encoded(self)
        return document

    @classmethod
    def from_dict(cls, document: object, origin: Origin = _ORIGIN) -> Report:
        """The report that `to_dict` made `document` of; its layers have no `table`, the JSON keeps none.

        Raises:
            UnreadableError: it was made of none, or by another schema version, or lacks its end mark.
        """
        require_version(document, origin)
        report = decoded(cls, document, origin)
        require_complete(document, origin)
        return report

    def rows(self) -> list[Json]:
        """One flat row per layer: the JSON's layer fields in their order, nested ones joined by `_`."""
        return [layer_row(layer) for layer in self.layers]

    def channel_rows(self) -> list[Json]:
        """One row per channel of every measured layer."""
        return list(channel_rows(self.layers))

    def to_frame(self) -> pandas.DataFrame:
        """The CSV as a `pandas.DataFrame`, one row per layer."""
        import pandas

        return pandas.DataFrame(self.rows(), columns=LAYER_COLUMNS)

    def _repr_html_(self) -> str:
        """What a notebook shows; by name, because renderers stand on a higher floor."""
        return str(import_module("bncheck.render").render_fragment(self))


__all__ = [
    "ADVICE",
    "AUDITED",
    "CHANNEL_COLUMNS",
    "ERROR",
    "FINDINGS",
    "INCONCLUSIVE",
    "INFO",
    "LAYER_COLUMNS",
    "MEASURED",
    "NOT_CHECKED",
    "OK",
    "SCHEMA_VERSION",
    "SEVERITIES",
    "SKIPPED",
    "WARNING",
    "Accuracy",
    "Asked",
    "BatchSize",
    "ChannelTable",
    "DataFacts",
    "Effect",
    "Finding",
    "Json",
    "LayerReport",
    "ModelFacts",
    "Report",
    "Run",
    "Summary",
    "asked_in",
    "finite",
]


def untold_layers(layers: Iterable[LayerReport]) -> frozenset[str]:
    """The names of measured layers whose gap is no number, as a fresh report and one that was saved have it."""
    return frozenset(
        layer.name for layer in layers if layer.status == MEASURED and (layer.gap is None or math.isnan(layer.gap))
    )


def unexplained(untold: frozenset[str], findings: Iterable[Finding]) -> frozenset[str]:
    """Those of the layers that no error names.

    A layer that an error names, accepted or not, is known to be broken. Those behind it saw nothing but what it gave
    them: what they store may be anything, and no finding speaks of it.
    """
    return untold.difference(*(found.layers for found in findings if found.severity == Severity.ERROR))
