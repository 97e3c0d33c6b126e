"""How the data are to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from bncheck.data import Source
from bncheck.evidence import AffineMap
from bncheck.measure.folds import LARGE_BATCH, Folds, Halves
from bncheck.measure.processes.portions import WHOLE, Shard
from bncheck.measure.processes.ranks import ALONE, Ranks
from bncheck.predictions import Metric
from bncheck.progress import Progress
from bncheck.settings import SampleMemory

TRAINING_STAGE, BATCH_STAGE, STORED_STAGE = "training data", "batch statistics", "stored statistics"
COMPARING_STAGE, AGREEMENT_STAGE = "comparing with what is stored", "outputs beside the reference's"
"""Stages of an inspection, as progress and the report's cost call them."""
READ_WHOLE = 2048
"""Samples at the beginning of the reading of whose maps every position is measured in the stored pass.

They alone tell the mean of a layer to a fiftieth of the spread of the samples' means. Of those that follow a part of
large maps is read, which adds a standard error of 0.004 standard deviations at the most (`watch.kernels`).
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the data are to be read.

    Attributes:
        batch_size: samples in a forward of the stored pass.
        limit: samples to draw, `None` for all.
        seed: of every draw.
        output: which output is the prediction.
        metric: the user's own, `None` for that of the task.
        task: kind of task by its name; `None` where outputs and labels tell.
        normalization: the mean and std by which the user had the data normalized, which may be what is wrong.
        large_batch: samples that normalize together in the batch pass, at the most.
        ranks: the processes that share the passes.
        exhaustive: look closer at every sample, however early it is known what that shows, and at all of its maps.
        fast: run the samples as shipped, and nothing more.
        memory: what samples may take.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
    """

    batch_size: int = 64
    limit: int | None = None
    seed: int = 0
    output: str | None = None
    metric: Metric | None = None
    task: str | None = None
    normalization: AffineMap | None = None
    large_batch: int = LARGE_BATCH
    until: float = 0.0
    ranks: Ranks = ALONE
    exhaustive: bool = False
    fast: bool = False
    memory: SampleMemory = field(default_factory=SampleMemory)

    def stages(self, *, training: bool) -> list[str]:
        """What is done before any question is asked, in order."""
        passes = [STORED_STAGE] if self.fast else [BATCH_STAGE, STORED_STAGE]
        return [*([TRAINING_STAGE] if training else []), *passes, COMPARING_STAGE]

    def folds(self, source: Source, fixed: int | None, progress: Progress, shard: Shard = WHOLE) -> Folds:
        """The data in pairs of half batches; `fixed` is the only batch size the model takes."""
        return Folds(
            source,
            fixed=fixed,
            batch_size=self.batch_size,
            limit=self.limit,
            seed=self.seed,
            progress=progress,
            halves=Halves(self.large_batch, self.memory.halves),
            shard=shard,
        )
