"""What moved between two checkpoints, as values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from bncheck.results.codec import Json, Origin, Written, decoded, encoded
from bncheck.results.earlier import COMPLETE, SCHEMA_VERSION, require_complete, require_version
from bncheck.results.finding import Finding
from bncheck.results.report import ModelFacts, Shown
from bncheck.results.rows import chosen
from bncheck.results.run import Run
from bncheck.vocabulary import Kind, Verdict

_ORIGIN = Origin("the document", "difference", "Differences are written by `bncheck diff A B --report json=FILE`.")


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
    kind: Kind
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

    verdict: Verdict
    exit_code: int
    layers_compared: int
    layers_moved: int
    tensors_compared: int
    tensors_moved: int


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Shown):
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

    __json__: ClassVar = Written(
        places={"version": ("bncheck",)},
        derived={"schema_version": lambda _: SCHEMA_VERSION, COMPLETE: lambda _: True},
        first=("schema_version", "bncheck", "run", "before", "after", "summary", "findings"),
        last=(COMPLETE,),
    )

    def to_dict(self) -> Json:
        """The difference as JSON: every number finite or `None`."""
        document: Json = encoded(self)
        return document

    @classmethod
    def from_dict(cls, document: object, origin: Origin = _ORIGIN) -> Difference:
        """The difference that `to_dict` made `document` of.

        Raises:
            UnreadableError: it was made of none, or by another schema version, or lacks its end mark.
        """
        require_version(document, origin)
        difference = decoded(cls, document, origin)
        require_complete(document, origin)
        return difference

    def rows(self) -> list[Json]:
        """One flat row for every layer and every other tensor; what only the other kind has is `None`."""
        layers = [{"what": "statistics", **encoded(layer)} for layer in self.layers]
        tensors = [
            {"what": "tensor", **encoded(tensor), "shape": "x".join(map(str, tensor.shape))} for tensor in self.tensors
        ]
        return [chosen(row, COLUMNS) for row in (*layers, *tensors)]


COLUMNS = list(
    dict.fromkeys(
        [
            *("what", "name", "original", "moved", "gap", "change"),
            *(each.name for each in (*fields(LayerChange), *fields(TensorChange))),
        ]
    )
)
