"""Repaired against shipped, output by output, on samples that the repair has not seen."""

from __future__ import annotations

from contextlib import ExitStack

from bncheck.data import Source
from bncheck.evidence import EffectEvidence
from bncheck.formats import Model
from bncheck.formats.programs.instrument import instrument
from bncheck.formats.programs.running import Progress
from bncheck.measure.passes import Plan
from bncheck.predictions.effect import PredictionEffect
from bncheck.repair.measuring import LayerStatistics, halves_of
from bncheck.watch.policies import STORED, Given


def cross_fitted(
    model: Model, source: Source, plan: Plan, given: tuple[LayerStatistics, LayerStatistics], progress: Progress
) -> EffectEvidence | None:
    """Each half of the data as shipped and by other statistics; `None` where no outputs can be compared.

    Args:
        model: as shipped.
        source: the data, read in the same halves as when they were measured.
        plan: how to read them.
        given: for each half, what its layers are normalized by; it must not come from that half.
        progress: told how far it is.
    """
    meter = PredictionEffect(plan.output, plan.metric)
    with instrument(model, source.name, plan.seed) as watched:
        halves = halves_of(model, source, plan, watched.fixed_batch, progress)
        for pair in halves.pairs("judging"):
            for half, statistics in zip(pair, given, strict=True):
                for chunk in halves.chunks(half):
                    stored = watched.run(chunk, STORED, None)
                    repaired = watched.run(chunk, Given(statistics), None)
                    meter.add_recalibrated(stored, repaired, chunk.labels)
    return meter.result()


def side_by_side(before: Model, after: Model, source: Source, plan: Plan, progress: Progress) -> EffectEvidence | None:
    """Two models on the same samples; `None` where no outputs can be compared."""
    meter = PredictionEffect(plan.output, plan.metric)
    with ExitStack() as stack:
        one, other = (stack.enter_context(instrument(model, source.name, plan.seed)) for model in (before, after))
        halves = plan.halves(source, one.fixed_batch, progress)
        for pair in halves.pairs("judging"):
            for half in pair:
                for chunk in halves.chunks(half):
                    meter.add_recalibrated(one.run(chunk, STORED, None), other.run(chunk, STORED, None), chunk.labels)
    return meter.result()
