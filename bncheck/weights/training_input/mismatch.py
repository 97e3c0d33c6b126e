"""Are the data fed as the model's training data were?"""

from __future__ import annotations

import math

from bncheck.data import Batch
from bncheck.progress import Progress
from bncheck.results import FedOtherwise, InputFamily, TrainingInput
from bncheck.tensors import torch
from bncheck.weights.training_input.families import family_of

SAMPLES = 64
"""Pictures that are looked at."""
FAR = 4.0
"""Times. Standard deviations that differ by more are of another unit, whatever the pictures."""
OVERSHOOT = 0.02
"""Share of the range by which resizing may overshoot it."""
RANGES = {
    InputFamily.UNIT: (0.0, 1.0),
    InputFamily.BYTES: (0.0, 255.0),
    InputFamily.SYMMETRIC: (-1.0, 1.0),
    InputFamily.STANDARDISED: (-math.inf, math.inf),
    InputFamily.CENTRED_BYTES: (-255.0, 255.0),
}
"""The values that each family may have."""


class FirstBatch:
    """Says where the first batch is clearly fed otherwise than in training, before it is run.

    Attributes:
        notes: what was said.
    """

    def __init__(self, expected: TrainingInput | None, progress: Progress) -> None:
        self.notes: list[FedOtherwise] = []
        self._expected = expected
        self._progress = progress

    def __call__(self, batch: Batch) -> None:
        """Look at the first batch."""
        if self._expected is not None and (note := fed_otherwise(self._expected, batch)) is not None:
            self.notes.append(note)
            self._progress(note.sentence, 0, None)


def fed_otherwise(expected: TrainingInput, batch: Batch) -> FedOtherwise | None:
    """What is to be said where a batch is clearly fed in another way; `None` where it is not, or cannot be told.

    Args:
        expected: by the weights.
        batch: as the model is fed it.
    """
    pictures = [array for array in batch.arrays if array.is_floating_point() and array.dim() == 4]
    if len(pictures) != 1 or pictures[0].shape[1] != expected.channels or not pictures[0].numel():
        return None
    values = pictures[0][:SAMPLES].to("cpu", torch.float64)
    mean, std = float(values.mean()), float(values.std(correction=0))
    if not (math.isfinite(mean) and math.isfinite(std)) or std == 0:
        return None
    fed = _family(expected.channels, values, mean, std)
    is_far = not 1 / FAR <= std / expected.seen_std <= FAR
    if fed is expected.family or (fed is None and not is_far):
        return None
    middle = sum(expected.seen_mean) / len(expected.seen_mean)
    return FedOtherwise(expected.family.value, "" if fed is None else fed.value, middle, expected.seen_std, mean, std)


def _family(channels: int, values: torch.Tensor, mean: float, std: float) -> InputFamily | None:
    """How they are fed, by their numbers and by where they end."""
    family = family_of(channels, (mean, mean), (std, std))
    if family is None:
        return None
    low, high = RANGES[family]
    room = OVERSHOOT * (high - low) if math.isfinite(high) else 0.0
    is_within = low - room <= float(values.min()) and float(values.max()) <= high + room
    return family if is_within else None
