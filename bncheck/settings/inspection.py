"""All that an inspection is asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bncheck.settings.data import DataSettings
from bncheck.settings.edge import Edge
from bncheck.settings.judging import JudgingSettings, PredictionSettings
from bncheck.settings.model import ModelSettings
from bncheck.settings.sampling import SamplingSettings

_IN_PYTHON = Edge("bncheck.inspect")


@dataclass(frozen=True, slots=True, eq=False)
class InspectionSettings:
    """Says what is inspected, on what, and how it is judged.

    Attributes:
        model: what is inspected.
        data: a path, an array, a pair, a dict, or an iterable of batches; `None` to audit the stored values alone.
        train_data: the training sampling, in any form that `data` can have.
        reference: the model from before an export.
        reading: what is done to either data before the model sees them.
        sampling: how they are drawn and read.
        predictions: which output counts, and by what score.
        reference_data: good data, which are the reference of an export without normalization layers, and where no other
            data are given what is inspected on.
        against: a file of moments that an earlier run is compared by.
        judging: which rules judge, and what fails.
        edge: where it is asked for.
    """

    model: ModelSettings
    data: Any = None
    train_data: Any = None
    reference: ModelSettings | None = None
    reading: DataSettings = field(default_factory=DataSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    predictions: PredictionSettings = field(default_factory=PredictionSettings)
    judging: JudgingSettings = field(default_factory=JudgingSettings)
    edge: Edge = _IN_PYTHON
    against: str | Path | None = None
    reference_data: Any = None

    def __post_init__(self) -> None:
        """Inspect on the reference data where there are no others."""
        if self.data is None and self.reference_data is not None:
            object.__setattr__(self, "data", self.reference_data)

    def on_device(self, device: str) -> InspectionSettings:
        """The same, with the model and its reference run there."""
        reference = None if self.reference is None else replace(self.reference, device=device)
        return replace(self, model=replace(self.model, device=device), reference=reference)
