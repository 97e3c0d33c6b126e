"""Fine-tuning with Batch Renormalization, as a repair of files."""

from __future__ import annotations

import torch

from bncheck.data import Source
from bncheck.errors import RefusedError
from bncheck.formats import Backend
from bncheck.measure import Plan
from bncheck.progress import Progress, begin
from bncheck.repair.measuring import STATISTICS, join
from bncheck.repair.methods.method import RENORM, MethodOptions, Repaired
from bncheck.repair.training.checkpoints import forget_checkpoint
from bncheck.repair.training.finetune import fine_tune
from bncheck.repair.training.result import FineTuned
from bncheck.repair.training.roles import TrainingSource
from bncheck.repair.training.trainee import module_of
from bncheck.results import BestStateTaken, Note, TrainingEnded
from bncheck.vocabulary import Reason, argument

COUNTER = "num_batches_tracked"
AVERAGED = 20
"""Steps over which a loss is averaged for the reader."""


class RenormFineTuning:
    """Fine-tuning trains weights and statistics further, on batches as they come, until neither depends on the batch.

    It cannot judge itself on folds of its data: that would take two more trainings, and judge other models.

    Source: Ioffe 2017 (arXiv 1702.03275).
    """

    name = RENORM
    cross_fits = False
    takes_prior = False
    learns = True

    def __init__(self, options: MethodOptions) -> None:
        self._options = options.fine_tuning
        self._training = options.training

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
        """See `Method`. The checkpoint of a run that diverged is deleted: going on from it would diverge again."""
        if not any(layer.has_statistics for layer in model.layers):
            return Repaired(tensors={}, kept={}, samples=0)
        counted = source if isinstance(source, TrainingSource) else TrainingSource(source, mixed=False)
        begin(progress, "fine-tuning")
        try:
            tuned = fine_tune(model, counted, self._options, heldout=validation, progress=self._training)
        except RefusedError:
            forget_checkpoint(self._options.checkpoint)
            raise
        if tuned.best_step == 0:
            raise RefusedError(
                f"The fine-tuning never made {model.path} better: after none of {tuned.steps} steps did it predict the "
                f"validation data better than as it came. Nothing was written. Give more {argument('steps')}, "
                f"another {argument('lr')}, or "
                "training data more like the validation data."
            )
        tensors = _changed(model, tuned)
        kept = {
            layer.name: Reason.NOT_TRAINED
            for layer in model.layers
            if layer.has_statistics and not any(join(layer.name, role) in tensors for role in STATISTICS)
        }
        return Repaired(tensors=tensors, kept=kept, samples=counted.read, notes=_notes(tuned))


def _changed(model: Backend, tuned: FineTuned) -> dict[str, torch.Tensor]:
    """What training changed; files that count no batches are not taught to."""
    given = module_of(model).state_dict()
    uncounted = {join(layer.name, COUNTER) for layer in model.layers if layer.updates is None and not layer.missing}
    return {
        name: value
        for name, value in tuned.state.items()
        if name not in uncounted and not torch.equal(value, given[name].cpu())
    }


def _notes(tuned: FineTuned) -> tuple[Note, ...]:
    losses = [step.loss for step in tuned.history]
    if not losses:
        return ()
    first, last = (sum(part) / len(part) for part in (losses[:AVERAGED], losses[-AVERAGED:]))
    end = tuned.history[-1]
    averaged = min(AVERAGED, len(losses))
    notes: list[Note] = [
        TrainingEnded(tuned.steps, tuned.stopped_early, first, last, averaged, end.r_clipped, end.d_clipped)
    ]
    if tuned.score is not None:
        notes.append(BestStateTaken(tuned.best_step))
    return tuple(notes)


METHOD = RenormFineTuning
