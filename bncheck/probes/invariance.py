"""Do outputs as shipped depend on which samples run together? Runs the same samples beside others."""

from __future__ import annotations

import torch

from bncheck.data.batches import Batch
from bncheck.evidence.probed import Invariance
from bncheck.predictions.change import relative_change
from bncheck.probes.answers import Answers, changed
from bncheck.probes.bench import Bench
from bncheck.watch.policies import STORED

SAMPLES = 64
MATES = 16
"""Samples in a batch; few, so that each weighs much."""
TOLERANCE = 1e-3
"""Relative change of outputs that the order of additions can reach in float32."""
ROUNDINGS = 16
"""The same in coarser types, in units of their precision."""


def probe_invariance(bench: Bench, samples: Batch, precision: float, seed: int) -> Invariance | None:
    """How far outputs move when samples get other batch mates.

    Args:
        bench: runs the model.
        samples: four at the least.
        precision: spacing of the numbers around 1 in the coarsest type the model computes in.
        seed: of the other arrangement.

    Returns:
        `None` where batches hold one sample, there are too few, or outputs cannot be told apart by sample.
    """
    size = bench.fixed or min(MATES, samples.size // 2)
    if size < 2 or samples.size < 2 * size:
        return None
    number = min(samples.size, max(SAMPLES, 2 * size)) // size * size
    few = samples.between(0, number)
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    first = _answers(bench, few, size)
    again = _answers(bench, few.between(0, size), size)
    beside_others = _answers(bench, few.take(order), size)
    if first is None or again is None or beside_others is None or len(first.scores) != number:
        return None
    back = order.argsort()
    scores = beside_others.scores[back]
    classes = None if beside_others.classes is None else beside_others.classes[back]
    return Invariance(
        samples=number,
        batch_size=size,
        change=relative_change(first.scores, scores),
        again=relative_change(first.scores[:size], again.scores),
        decisions_changed=changed(first, Answers(scores, classes, None, None)),
        tolerance=max(TOLERANCE, ROUNDINGS * precision),
    )


def _answers(bench: Bench, samples: Batch, size: int) -> Answers | None:
    outputs = [bench.run(part, STORED) for part in samples.split(size)]
    return bench.read(outputs, None)
