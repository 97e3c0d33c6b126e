"""Recalibration: the statistics of the data take the place of the stored ones."""

from __future__ import annotations

from bncheck.data import Source
from bncheck.formats import Backend
from bncheck.measure import Plan
from bncheck.progress import Progress
from bncheck.repair.evaluation.held_out import cross_fitted
from bncheck.repair.measuring import cross_gaps, measure, tensors_of
from bncheck.repair.methods.method import RECALIBRATE, MethodOptions, Repaired


class Recalibration:
    """Recalibration stores the mean and the pooled variance of the data; weights and everything else stay.

    Sources: Wu & Johnson 2021 (arXiv 2105.07576), section 3, "PreciseBN"; here the variance is pooled over all
    samples rather than averaged over batches.
    """

    name = RECALIBRATE
    cross_fits = True
    takes_prior = False
    learns = True

    def __init__(self, options: MethodOptions) -> None:
        self._until = options.until

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
        """See `Method`."""
        measured = measure(model, source, plan, self._until, progress)
        crossed = (measured.folds[1], measured.folds[0])
        return Repaired(
            tensors=tensors_of(model, measured.whole),
            kept=measured.kept,
            samples=measured.samples,
            errors=measured.errors,
            gaps=cross_gaps(measured, crossed) if judge else {},
            evaluation=cross_fitted(model, source, plan, crossed, progress) if judge and measured.whole else None,
            notes=measured.notes,
        )


METHOD = Recalibration
