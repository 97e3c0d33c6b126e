"""The few samples that probes run on."""

from __future__ import annotations

from collections.abc import Sequence

from bncheck.data.batches import Batch, Source
from bncheck.measure.passes import Plan


def draw(source: Source, plan: Plan, samples: int, fixed: int | None) -> Sequence[Batch]:
    """Up to `samples` samples drawn at random, in batches as the passes run them.

    A program of fixed batch size gets as many whole batches as they fill, and at least one where there is one.
    """
    wanted = samples if fixed is None else max(samples // fixed, 1) * fixed
    drawn = next(iter(source.batches(wanted, seed=plan.seed, limit=plan.limit)), None)
    if drawn is None:
        return []
    size = fixed or plan.batch_size
    stop = min(drawn.size, wanted)
    stop = stop if fixed is None else stop // fixed * fixed
    return [drawn.between(start, min(start + size, stop)) for start in range(0, stop, size)]
