"""A closer look at single layers, where the passes have shown something that needs telling apart."""

from __future__ import annotations

import math
from dataclasses import replace

from bncheck.core.thresholds import NEAR_MARGIN
from bncheck.data.batches import Source
from bncheck.errors import DataError
from bncheck.evidence import NOTHING_CLOSER, CloserLook, Evidence, MeasuredLayer
from bncheck.formats.model import Model
from bncheck.formats.programs.instrument import instrument
from bncheck.formats.programs.running import Progress
from bncheck.measure.order import Reading, compare_batches, read_in_order
from bncheck.measure.passes import Observation, Plan
from bncheck.probes.alone import fed_by_input, moved_alone
from bncheck.probes.calls import calls_apart
from bncheck.probes.dropout import dropout_gaps
from bncheck.probes.padding import flat_shares
from bncheck.probes.samples import broken_samples
from bncheck.probes.sampling import draw
from bncheck.probes.weights import broken_tensors

FEW, MORE = 64, 256
"""Samples for what is only ranked, and for what is judged."""
LAYERS_ALONE = 12
"""Layers asked one by one at the most: each costs a forward."""
ORDERED_BATCHES, ORDERED_SAMPLES = 16, 4096
"""Batches run in the data's own order, and samples read of a loader for them."""


def look_closer(
    model: Model, source: Source, seen: Observation, evidence: Evidence, plan: Plan, progress: Progress
) -> CloserLook:
    """Put the probes that this evidence calls for; where the model refuses batches of their size, nothing is said."""
    if not evidence.measured:
        return NOTHING_CLOSER
    is_finite = all(math.isfinite(layer.gap) for layer in evidence.measured.values())
    broken = () if is_finite else broken_tensors(model)
    samples = None if is_finite or broken else broken_samples(source, plan)
    try:
        asked = _asked(model, source, seen, evidence, plan, progress)
    except DataError:
        asked = NOTHING_CLOSER
    return replace(asked, broken=broken, broken_samples=samples)


def _asked(
    model: Model, source: Source, seen: Observation, evidence: Evidence, plan: Plan, progress: Progress
) -> CloserLook:
    suspects = _suspects(evidence)
    with instrument(model, source.name, plan.seed) as watched:
        few = draw(source, plan, FEW, watched.fixed_batch)
        more = draw(source, plan, MORE, watched.fixed_batch) if suspects or _shared(evidence) else []
        return CloserLook(
            fed_by_input=fed_by_input(watched, few) if suspects else frozenset(),
            alone=moved_alone(watched, few, seen.stored.statistics(), suspects[:LAYERS_ALONE], plan.output),
            calls=calls_apart(watched, more, seen.stored, seen.folds, plan.output),
            dropout=dropout_gaps(watched, more) if suspects and watched.dropouts else {},
            flat=flat_shares(watched, few),
            order=compare_batches(read_in_order(watched, source, _order(plan), progress), plan.seed)
            if source.in_order
            else None,
        )


def _order(plan: Plan) -> Reading:
    samples = ORDERED_SAMPLES if plan.limit is None else min(ORDERED_SAMPLES, plan.limit)
    return Reading(ORDERED_BATCHES, samples, "order of the data")


def _suspects(evidence: Evidence) -> list[str]:
    """Layers above the nearer margin, by their own gap where it is known, the largest first."""
    gaps = {name: _gap(layer) for name, layer in evidence.measured.items()}
    return sorted((name for name, gap in gaps.items() if gap > NEAR_MARGIN), key=gaps.__getitem__, reverse=True)


def _gap(layer: MeasuredLayer) -> float:
    gap = layer.gap if layer.own_gap is None else layer.own_gap
    return gap if math.isfinite(gap) else 0.0


def _shared(evidence: Evidence) -> bool:
    return any(layer.calls > 1 for layer in evidence.measured.values())
