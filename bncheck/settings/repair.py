"""All that a repair is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bncheck.errors import UsageError
from bncheck.settings.checks import require_flag, require_number
from bncheck.settings.data import DataSettings
from bncheck.settings.edge import Edge
from bncheck.settings.judging import JudgingSettings, PredictionSettings
from bncheck.settings.model import ModelSettings
from bncheck.settings.sampling import SamplingSettings
from bncheck.settings.training import TrainingSettings
from bncheck.vocabulary import argument

METHOD = "recalibrate"
UNTIL_OF_REPAIR = 0.01
"""Error of the means, in standard deviations, at which there are samples enough to repair from."""
_TAKES_A_PRIOR = "blend"
_IN_PYTHON = Edge("bncheck.repair_file")


@dataclass(frozen=True, slots=True, eq=False)
class RepairSettings:
    """Says what is repaired, from what, how it is judged and where it goes.

    Attributes:
        model: what is repaired.
        out: the file to write; `None` to see what the repair would come to.
        data: what to repair from; with `train_data`, what to judge on.
        train_data: what `renorm` trains on.
        heldout: what to judge on.
        method: `recalibrate`, `blend`, `instance` or `renorm`.
        prior: what the stored statistics are worth, in samples (`blend`); `None` to let the labels choose.
        until: stop measuring once the mean of every layer is known so well, in standard deviations; 0 reads all.
        data_free: there are no data: `recalibrate` by generated pictures, where statistics are lost.
        force: write although the result is worse, or of too few samples.
        overwrite: write over an existing `out`.
        training: how `renorm` trains.
        reading: what is done to the data before the model sees them.
        sampling: how they are drawn and read.
        predictions: which output counts, and by what score.
        judging: how both reports judge.
        edge: where it is asked for.

    Raises:
        UsageError: a value means nothing, or is for another method.
    """

    model: ModelSettings
    out: Path | None
    data: Any = None
    train_data: Any = None
    heldout: Any = None
    method: str = METHOD
    prior: float | None = None
    until: float = UNTIL_OF_REPAIR
    data_free: bool = False
    force: bool = False
    overwrite: bool = False
    training: TrainingSettings = field(default_factory=TrainingSettings)
    reading: DataSettings = field(default_factory=DataSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    predictions: PredictionSettings = field(default_factory=PredictionSettings)
    judging: JudgingSettings = field(default_factory=JudgingSettings)
    edge: Edge = _IN_PYTHON

    def __post_init__(self) -> None:
        require_flag("data_free", self.data_free)
        require_flag("force", self.force)
        require_flag("overwrite", self.overwrite)
        require_number("prior", self.prior)
        require_number("until", self.until)
        if self.prior is not None and (self.method != _TAKES_A_PRIOR or not 0 <= self.prior < math.inf):
            raise UsageError(
                f"{argument('prior')} {self.prior:g}: a number of samples from 0, for "
                f"{argument('method', _TAKES_A_PRIOR)} alone."
            )
        if not 0 <= self.until < math.inf:
            raise UsageError(
                f"{argument('until')} {self.until:g}: an error in standard deviations, like 0.01; 0 reads all data."
            )
        if self.data_free:
            self._require_no_data()

    def _require_no_data(self) -> None:
        """Refuse data beside the wish to go without, and methods that cannot."""
        if self.method != METHOD:
            raise UsageError(
                f"{argument('data_free')} is for {argument('method')} {METHOD} alone, not for {argument('method')} "
                f"{self.method}."
            )
        given = [name for name in ("data", "train_data", "heldout") if getattr(self, name) is not None]
        if given:
            raise UsageError(
                f"{argument('data_free')} is for those who have no data at all, and {argument(given[0])} names some: "
                f"leave {argument('data_free')} out. Pictures of any kind serve better than none ({argument('data')})."
            )
