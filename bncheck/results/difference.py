"""What moved between two checkpoints, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bncheck.results.finding import Finding
from bncheck.results.report import SCHEMA_VERSION, Json, ModelFacts, Run, finite


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A normalization layer's statistics in the second file beside those in the first.

    Distances are in the unit of all gaps, the first file's standard deviations; see `bncheck.core.compare`.

    Attributes:
        name: in the second file.
        original: in the first.
        kind, channels: of the layer.
        moved: whether a mean or a variance differs by more than their types round.
        expected_frozen: whether they were not to.
        gap: root mean square over the channels; `gap_max` in `worst_channel`. NaN where not finite.
        shift_max: largest difference of means.
        scale_min, scale_max: ratios of standard deviations.
        updates_before, updates_after: batches seen, where counted.
    """

    name: str
    original: str
    kind: str
    channels: int
    moved: bool
    expected_frozen: bool
    gap: float
    gap_max: float
    worst_channel: int | None
    shift_max: float
    scale_min: float
    scale_max: float
    updates_before: int | None
    updates_after: int | None


@dataclass(frozen=True, slots=True)
class TensorChange:
    """Any other tensor that both files have.

    Attributes:
        name: in the second file.
        original: in the first.
        shape: in the second file.
        moved: whether values differ by more than their types round, or the shapes do.
        change: L2 norm of the difference, relative to the larger of the two tensors' norms, so at most 2; `None`
            where the shapes differ or values are not finite.
    """

    name: str
    original: str
    shape: tuple[int, ...]
    moved: bool
    change: float | None


@dataclass(frozen=True, slots=True)
class DifferenceSummary:
    """The verdict, and how much was compared."""

    verdict: str
    exit_code: int
    layers_compared: int
    layers_moved: int
    tensors_compared: int
    tensors_moved: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything one comparison of two files found."""

    version: str
    run: Run
    before: ModelFacts
    after: ModelFacts
    summary: DifferenceSummary
    layers: tuple[LayerChange, ...]
    tensors: tuple[TensorChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> Json:
        """The difference as JSON: every number finite or `None`."""
        document: Json = {
            "schema_version": SCHEMA_VERSION,
            "bncheck": self.version,
            "run": {name: value for name, value in asdict(self.run).items() if name != "asked"},
            "before": asdict(self.before),
            "after": asdict(self.after),
            "summary": asdict(self.summary),
            "findings": [asdict(finding) for finding in self.findings],
            "layers": [asdict(layer) for layer in self.layers],
            "tensors": [asdict(tensor) for tensor in self.tensors],
            "only_before": self.only_before,
            "only_after": self.only_after,
        }
        return {key: finite(value) for key, value in document.items()}

    def rows(self) -> list[Json]:
        """One flat row for every layer and every other tensor; what only the other kind has is `None`."""
        layers = [{"what": "statistics", **asdict(layer)} for layer in self.layers]
        tensors = [
            {"what": "tensor", **asdict(tensor), "shape": "x".join(map(str, tensor.shape))} for tensor in self.tensors
        ]
        return [{column: finite(row.get(column)) for column in COLUMNS} for row in (*layers, *tensors)]


def _columns() -> list[str]:
    names: dict[str, Any] = dict.fromkeys(["what", "name", "original", "moved", "gap", "change"])
    for kind in (LayerChange, TensorChange):
        names |= dict.fromkeys(kind.__dataclass_fields__)
    return list(names)


COLUMNS = _columns()
