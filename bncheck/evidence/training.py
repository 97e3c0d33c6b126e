"""The training sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bncheck.core import Exchangeability
from bncheck.evidence.measured import MeasuredLayer


@dataclass(frozen=True, slots=True, eq=False)
class TrainingEvidence:
    """The training sampling, read in its own order and batches, through the model as shipped.

    Attributes:
        source: as named by the user.
        samples: run, of batches spread over the whole order.
        batch_size: of a loader its own; of files, which make no batches, the one the user set.
        own_batches: whether a loader made the batches.
        measured: by name, what the layers saw on it; without own gaps.
        order: whether its batches could be random draws; `None` where there are too few.
        values: by name of a batch norm, the values per channel in a training batch (samples x positions).
        noise: by name, the RMS gap of one training batch's statistics from those of all of them.
        smallest_detectable_gap: as in `Evidence`.
    """

    source: str
    samples: int
    batch_size: int
    own_batches: bool
    measured: Mapping[str, MeasuredLayer]
    order: Exchangeability | None
    values: Mapping[str, int]
    noise: Mapping[str, float]
    smallest_detectable_gap: float | None
