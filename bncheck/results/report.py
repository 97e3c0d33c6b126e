"""What an inspection found, as values: the contract's JSON, and the rows of its CSV.

Numbers here are plain floats, NaN or `None` where not measured; characters belong to the renderers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bncheck.encoding import printable
from bncheck.extras import is_installed
from bncheck.results.beside.drift import Drift
from bncheck.results.beside.slices import SliceReport, slice_rows
from bncheck.results.codec import Json, Origin, Written, decoded, encoded
from bncheck.results.earlier import COMPLETE, SCHEMA_VERSION, report_before, require_complete, require_version
from bncheck.results.finding import Finding
from bncheck.results.layer import ChannelTable, LayerReport
from bncheck.results.rows import CHANNEL_COLUMNS, LAYER_COLUMNS, channel_rows, layer_row
from bncheck.results.run import Asked, Run, asked_in
from bncheck.results.scores import Accuracy, Effect
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
_NAMED = 5
"""Layers that are named where the one that was asked for is not there."""


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


class Shown:
    """Shows itself where users of Python look: printed, and in files; renderers stand on a higher floor."""

    __slots__ = ()

    def __str__(self) -> str:
        """What a terminal shows, without colours."""
        return str(_render().plain_text(self))

    def save(self, path: str | Path) -> Path:
        """Write it in the format of the path's suffix: .html, .json, .csv, .md, .xml (JUnit) or .sarif.

        The file appears whole or not at all. A report that is there is replaced, and no other file.

        Raises:
            UsageError: no format has such a suffix, a file is there that is no report, or it cannot be written.
        """
        saved: Path = _render().save(self, Path(path))
        return saved


def _render() -> Any:
    return import_module("bncheck.render")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Report(Shown):
    """Everything one inspection found; `report["layer1.0.bn1"]` is that layer's part.

    >>> import torch, bncheck
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    >>> bncheck.inspect(model)
    <Report on Sequential: ok, exit code 0, 1 layer, 0 findings>
    """

    version: str
    run: Run
    model: ModelFacts
    data: DataFacts | None
    summary: Summary
    effect: Effect | None
    batch_sizes: tuple[BatchSize, ...]
    findings: tuple[Finding, ...]
    layers: tuple[LayerReport, ...]
    slices: tuple[SliceReport, ...] = ()
    drift: Drift | None = None

    __json__: ClassVar = Written(
        places={"version": ("bncheck",)},
        added=frozenset({"slices", "drift"}),
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

    def slice_rows(self) -> list[Json]:
        """One row for every slice and layer, the slices whose gap is surest first."""
        return list(slice_rows(self.slices))

    def to_frame(self) -> pandas.DataFrame:
        """The CSV as a `pandas.DataFrame`, one row per layer."""
        import pandas

        rows, columns = _render().table_of(self)
        return pandas.DataFrame(rows, columns=columns)

    def plot(self, axes: Any = None) -> Any:
        """Draw gap, own gap and noise of the measured layers along the network.

        Args:
            axes: of Matplotlib, to draw on; by default those of a new figure.

        Raises:
            UsageError: no layer was measured.
        """
        return _render().plot(self, axes)

    def __getitem__(self, name: str) -> LayerReport:
        """The layer of that name.

        Raises:
            KeyError: there is none; it names those there are.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        close = get_close_matches(name, names, n=1) or names[:_NAMED]
        raise KeyError(f"there is no layer {name!r}; {'did you mean' if len(close) == 1 else 'the first are'} {close}")

    def __repr__(self) -> str:
        """In one line, as a prompt shows it."""
        layers, findings = len(self.layers), len(self.findings)
        return (
            f"<Report on {printable(self.model.path)}: {self.summary.verdict}, exit code {self.summary.exit_code}, "
            f"{layers} layer{'s' * (layers != 1)}, {findings} finding{'s' * (findings != 1)}>"
        )

    def _repr_html_(self) -> str | None:
        """What a notebook shows; without Jinja2 it shows the `repr`."""
        return str(_render().render_fragment(self)) if is_installed("jinja2") else None


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
