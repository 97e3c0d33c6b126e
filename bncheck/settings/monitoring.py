"""How a training is watched."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.settings.checks import device_name, require_count, require_seed
from bncheck.settings.sampling import BATCH_SIZE, SEED

SAMPLES = 256
"""Samples to watch a training on: they show gaps that matter, and cost two forwards each."""
RECALIBRATION_SAMPLES = 2048


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """Says on how many samples a training is watched, and where the copy that is measured runs.

    Attributes:
        samples: to measure on; they are drawn once and kept in memory.
        recalibration_samples: to recalibrate on, at the most; drawn at random.
        batch_size: samples in a forward of the copy.
        seed: of the draws.
        device: where the copy runs; `None` for where the model is.

    Raises:
        UsageError: a number is out of its range.
    """

    samples: int = SAMPLES
    recalibration_samples: int = RECALIBRATION_SAMPLES
    batch_size: int = BATCH_SIZE
    seed: int = SEED
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("samples", "recalibration_samples", "batch_size"):
            require_count(name, getattr(self, name))
        require_seed("seed", self.seed)
        if self.device is not None:
            device_name("device", self.device)
