"""The same samples in batches of another composition."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from bncheck.core import THRESHOLDS

ACCURACY = "accuracy"


class Grouping(Enum):
    """What the samples of a grouped batch have in common."""

    LABEL = "of one label"
    LOADER = "as the training loader gives them"
    ORDER = "of neighbours in the data's own order"
    ALONE = "of a single sample"


@dataclass(frozen=True, slots=True)
class Composition:
    """How a model that normalizes by its batch does in grouped batches, and otherwise on the same samples.

    Attributes:
        by_label: each batch holds samples of one label; else the batches are those of a loader.
        batch_size: samples in a batch.
        batches: grouped batches run.
        samples: in all of them.
        grouped: accuracy in grouped batches, by the batch's statistics.
        grouped_error: its standard error, the batch being the unit.
        mixed: the same with the samples mixed.
        stored: by the stored statistics.
        recalibrated: by statistics measured on the other half of the same samples.
        grouping: what makes the groups; without it `by_label` tells labels from a loader.
        score: what the numbers are: accuracy, or a loss of the task's own, which is better when smaller.
        lead: of a loss, by how much grouped batches are better than the best of the others, in its own units.
        lead_error: its standard error, paired by sample, the batch being the unit.
    """

    by_label: bool
    batch_size: int
    batches: int
    samples: int
    grouped: float
    grouped_error: float
    mixed: float
    stored: float
    recalibrated: float | None
    grouping: Grouping | None = None
    score: str = ACCURACY
    lead: float | None = None
    lead_error: float = math.inf

    @property
    def of(self) -> Grouping:
        """What makes the groups."""
        return self.grouping or (Grouping.LABEL if self.by_label else Grouping.LOADER)

    @property
    def by_accuracy(self) -> bool:
        """Whether right predictions were counted."""
        return self.score == ACCURACY


@dataclass(frozen=True, slots=True)
class Invariance:
    """How outputs as shipped change when the same samples are run beside others.

    Attributes:
        samples: run twice.
        batch_size: samples in a batch.
        change: relative L2 change of their outputs.
        again: the same where the very same batch is run twice: what randomness does; 0 where nothing moved before.
        decisions_changed: fraction of predictions that differ; `None` for outputs that are no class scores.
        tolerance: relative change that rounding can reach in the model's types.
    """

    samples: int
    batch_size: int
    change: float
    again: float
    decisions_changed: float | None
    tolerance: float

    @property
    def moves(self) -> bool:
        """Whether outputs change by more than rounding, whatever changes them."""
        return not self.change <= self.tolerance

    @property
    def depends(self) -> bool:
        """Whether a sample's output depends on the composition of its batch."""
        random = THRESHOLDS.alike_again * self.again
        if not math.isfinite(self.change) or not self.moves or self.change <= random:
            return False
        return self.change > THRESHOLDS.composition_change or bool(self.decisions_changed)
