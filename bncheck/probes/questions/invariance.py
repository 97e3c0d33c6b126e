"""Do outputs as shipped depend on which samples run together?"""

from __future__ import annotations

from dataclasses import replace

import torch

from bncheck.core import THRESHOLDS
from bncheck.data import Batch
from bncheck.evidence import Evidence, Invariance
from bncheck.formats import coarsest_precision
from bncheck.predictions import relative_change
from bncheck.probes.answers import Answers, change
from bncheck.probes.case import MORE, Case
from bncheck.probes.probe import Probe
from bncheck.probes.session import ProbeSession
from bncheck.watch import STORED

SAMPLES = 64
BATCH_SIZE = 16
"""Samples in a batch; few, so that each weighs much."""
SCREENED = 2
"""Batches that are tried first: where their samples' outputs stay, all is said."""


class BatchInvariance(Probe[Invariance]):
    """Runs the same samples beside others."""

    title = "the same samples beside others"

    def cost(self, case: Case) -> int:
        """Count two arrangements of a few samples, two of more, and the first batch once more."""
        number = case.number(MORE)
        size = _size(number, case.fixed_batch)
        return 0 if size < 2 or number < 2 * size else 2 * SCREENED * size + 2 * _used(number, size) + size

    def answer(self, case: Case, session: ProbeSession) -> Invariance | None:
        """How far the outputs move; `None` for quantized models too, which round in steps."""
        samples, precision = case.drawn(MORE), coarsest_precision(case.subject.model)
        if samples is None or precision is None:
            return None
        return probe_invariance(session, samples, precision, case.subject.plan.seed)

    def told(self, evidence: Evidence, answer: Invariance) -> Evidence:
        """Put it where batch composition is judged."""
        return replace(evidence, probed=replace(evidence.probed, invariance=answer))


def probe_invariance(session: ProbeSession, samples: Batch, precision: float, seed: int) -> Invariance | None:
    """How far outputs move when samples are run beside others.

    Args:
        session: runs the samples.
        samples: four at the least.
        precision: spacing of the numbers around 1 in the coarsest type the model computes in.
        seed: of the other arrangement.

    Returns:
        `None` where batches hold one sample, there are too few, or outputs cannot be told apart by sample.
    """
    size = _size(samples.size, session.fixed_batch)
    if size < 2 or samples.size < 2 * size:
        return None
    screened = _moved(session, samples.between(0, SCREENED * size), size, precision, seed)
    if screened is None or not screened.moves:
        return screened
    return _moved(session, samples.between(0, _used(samples.size, size)), size, precision, seed, again=True)


def _moved(
    session: ProbeSession, few: Batch, size: int, precision: float, seed: int, *, again: bool = False
) -> Invariance | None:
    number = few.size
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    first = _answers(session, few, size)
    repeated = _answers(session, few.between(0, size), size) if again else None
    beside_others = _answers(session, few.take(order), size)
    if first is None or (again and repeated is None) or beside_others is None or len(first.scores) != number:
        return None
    back = order.argsort()
    classes = None if beside_others.classes is None else beside_others.classes[back]
    moved = change(first, Answers(beside_others.scores[back], classes, None, None))
    return Invariance(
        samples=number,
        batch_size=size,
        change=moved.relative() or 0.0,
        again=0.0 if repeated is None else relative_change(first.scores[:size], repeated.scores),
        decisions_changed=moved.changed_fraction(),
        tolerance=max(THRESHOLDS.composition_rounding, THRESHOLDS.composition_roundings * precision),
    )


def _size(samples: int, fixed_batch: int | None) -> int:
    return fixed_batch or min(BATCH_SIZE, samples // 2)


def _used(samples: int, size: int) -> int:
    return min(samples, max(SAMPLES, 2 * size)) // size * size


def _answers(session: ProbeSession, samples: Batch, size: int) -> Answers | None:
    outputs = [session.run(part, STORED) for part in samples.split(size)]
    return session.read(outputs, None)


PROBE = BatchInvariance()
