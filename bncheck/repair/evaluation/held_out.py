"""Held-out evaluation: repaired against shipped, output by output, on samples that the repair has not seen."""

from __future__ import annotations

from contextlib import ExitStack

from bncheck.data import Source
from bncheck.evidence import EffectEvidence
from bncheck.formats import Backend
from bncheck.measure import Plan, settled_session
from bncheck.predictions import PredictionEffect
from bncheck.progress import Progress
from bncheck.repair.measuring import LayerStatistics, folds_of
from bncheck.watch import STORED, Given


def cross_fitted(
    model: Backend, source: Source, plan: Plan, given: tuple[LayerStatistics, LayerStatistics], progress: Progress
) -> EffectEvidence | None:
    """Compare each fold of the data as shipped and by other statistics; `None` where no outputs can be compared.

    Args:
        model: as shipped.
        source: the data, read in the same folds as when they were measured.
        plan: how to read them.
        given: for each fold, what its layers are normalized by; it must not come from that fold.
        progress: told how far it is.
    """
    effect = PredictionEffect(plan.output, plan.metric, plan.task)
    with settled_session(model, source, plan) as watched:
        folds = folds_of(model, source, plan, watched.fixed_batch, progress)
        for pair in folds.pairs("judging"):
            for part, statistics in zip(pair, given, strict=True):
                for chunk in folds.chunks(part):
                    stored = watched.run(chunk, STORED, None)
                    repaired = watched.run(chunk, Given(statistics), None)
                    effect.add_recalibrated(stored, repaired, chunk.targets)
    return effect.result()


def side_by_side(
    before: Backend, after: Backend, source: Source, plan: Plan, progress: Progress
) -> EffectEvidence | None:
    """Compare two models on the same samples; `None` where no outputs can be compared."""
    effect = PredictionEffect(plan.output, plan.metric, plan.task)
    with ExitStack() as stack:
        one, other = (stack.enter_context(settled_session(model, source, plan)) for model in (before, after))
        folds = plan.folds(source, one.fixed_batch, progress)
        for pair in folds.pairs("judging"):
            for part in pair:
                for chunk in folds.chunks(part):
                    effect.add_recalibrated(one.run(chunk, STORED, None), other.run(chunk, STORED, None), chunk.targets)
    return effect.result()
