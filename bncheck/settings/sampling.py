"""Which samples are read, and in what portions."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.errors import UsageError
from bncheck.settings.checks import require_at_least, require_count, require_flag, require_number, require_seed
from bncheck.vocabulary import argument

BATCH_SIZE = 64
UNTIL = 0.0
SEED = 0
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """Says how data are drawn and read.

    Attributes:
        batch_size: samples in a forward that does not have to be large.
        limit: draw this many samples at random; `None` for all.
        until: stop reading once the mean of every layer is known so well, in standard deviations; 0 reads everything.
        seed: of every draw.
        batch_sizes: of the what-if table.
        exhaustive: run every sample by the batch and recalibrated too, however early it is known what that shows, and
            measure large maps whole.
        fast: run every sample as shipped and nothing more: gaps, the score as shipped and what the file shows.
        sync: normalize by what all processes of a job see together, where layers go by the batch.

    Raises:
        UsageError: a value is out of its range.
    """

    batch_size: int = BATCH_SIZE
    limit: int | None = None
    until: float = UNTIL
    seed: int = SEED
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    exhaustive: bool = False
    fast: bool = False
    sync: bool = False

    def __post_init__(self) -> None:
        require_count("batch_size", self.batch_size)
        require_count("limit", self.limit)
        for size in self.batch_sizes:
            require_number("batch_sizes", size, whole=True)
        if any(size < 1 for size in self.batch_sizes):
            raise UsageError(f"{argument('batch_sizes')}: sizes are whole numbers from 1.")
        for size in self.batch_sizes:
            require_count("batch_sizes", size)
        require_at_least("until", self.until, 0, whole=False)
        require_seed("seed", self.seed)
        require_flag("exhaustive", self.exhaustive)
        require_flag("fast", self.fast)
        require_flag("sync", self.sync)
        if self.sync and self.fast:
            raise UsageError(
                f"{argument('sync')} is of the pass by the batch, which {argument('fast')} leaves out: give one of "
                "them."
            )
        if self.fast and self.exhaustive:
            raise UsageError(f"{argument('fast')} and {argument('exhaustive')} say the opposite: give one of them.")
