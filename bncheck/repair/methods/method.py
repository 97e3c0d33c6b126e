"""What the ways to repair a model have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from bncheck.data import Source
from bncheck.evidence import EffectEvidence
from bncheck.formats import Backend
from bncheck.measure import Plan
from bncheck.progress import Progress
from bncheck.repair.training.options import FineTuneOptions
from bncheck.repair.training.result import TrainingProgress, quiet
from bncheck.results import Note
from bncheck.settings import UNTIL_OF_REPAIR
from bncheck.vocabulary import Reason

RECALIBRATE, BLEND, INSTANCE, RENORM = "recalibrate", "blend", "instance", "renorm"


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """What the user set for a method.

    Attributes:
        prior: what the stored statistics are worth, in samples; `None` to find out.
        until: error of the means, in standard deviations, at which reading stops; 0 to read everything.
        fine_tuning: how a method that trains does it.
        training: told of every step of it.
        force: repair although nothing is known to be wrong.
    """

    prior: float | None = None
    until: float = UNTIL_OF_REPAIR
    fine_tuning: FineTuneOptions = field(default_factory=FineTuneOptions)
    training: TrainingProgress = quiet
    force: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """What a method made of a model, before anything is written.

    Attributes:
        tensors: the new value of everything that changes, by the tensor's name in the model
            (`stem.bn.running_mean`); a writer gives it the dtype and the shape the file has.
        kept: layers whose statistics stay as they are, by name: why.
        samples: samples that were used.
        errors: by layer, how far the new mean may be off, in standard deviations of the data.
        gaps: by layer, the gap of one fold of the data from what the other fold gave; empty where held-out data
            are to judge.
        evaluation: as shipped against repaired on samples the repair has not seen; `None` where held-out data judge.
        notes: what was chosen on the way, for the reader.
        by_instance: InstanceNorm layers that are to normalize by the instance, without stored statistics.
    """

    tensors: Mapping[str, torch.Tensor]
    kept: Mapping[str, Reason]
    samples: int
    errors: Mapping[str, float] = field(default_factory=dict)
    gaps: Mapping[str, float] = field(default_factory=dict)
    evaluation: EffectEvidence | None = None
    notes: tuple[Note, ...] = ()
    by_instance: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.tensors or self.by_instance)


class Method(Protocol):
    """A method gives a model new statistics, new weights, or both; the model itself is left alone.

    It lives in a module of its own in this folder, which offers `METHOD: type[Method]` and is found by that.

    Attributes:
        name: what chooses it.
        cross_fits: whether it can judge itself on folds of the data it repairs from.
        takes_prior: whether it weighs the stored statistics, so that a prior means something.
        learns: whether what it makes depends on the data; else all of them judge the file that was written.
    """

    name: str
    cross_fits: bool
    takes_prior: bool
    learns: bool

    def __init__(self, options: MethodOptions) -> None: ...

    def __call__(
        self,
        model: Backend,
        source: Source,
        plan: Plan,
        progress: Progress,
        *,
        judge: bool,
        validation: Source | None = None,
    ) -> Repaired:
        """Repair `model` by the samples of `source`; with `judge`, fill in `evaluation` and `gaps`.

        Args:
            model: what is to be repaired; it is only read and run.
            source: what to repair it from.
            plan: how to read the data.
            progress: told how far it is.
            judge: whether the method is to judge itself; never asked of one that does not cross-fit.
            validation: what to choose among results by, for methods that can; it does not judge them.

        Raises:
            RefusedError: the result would be no model to use.
            DataError: the data cannot be read, do not fit the model, or give values that are not finite.
            UsageError: the data lack something that the method needs.
        """
        ...
