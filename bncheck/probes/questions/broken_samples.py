"""Which samples are not finite, where what the model's layers see is not, and no tensor of it is to blame?"""

from __future__ import annotations

from dataclasses import replace

import torch

from bncheck.data import Batch, Source
from bncheck.evidence import BrokenSamples, Evidence
from bncheck.measure import Plan
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.questions.broken_tensors import BrokenTensors
from bncheck.probes.session import ProbeSession


class BrokenInput(Probe[BrokenSamples]):
    """Reads the samples once more; nothing is run."""

    needs = Needs(samples=0, layers=True, suspicion=Suspicion.NOT_FINITE)
    after = (BrokenTensors,)

    def cost(self, case: Case) -> int:
        """Count nothing."""
        return 0

    def answer(self, case: Case, session: ProbeSession) -> BrokenSamples | None:
        """How many there are, and the first; `None` where the model itself is broken."""
        return None if case.observed.closer.broken else broken_samples(case.subject.source, case.subject.plan)

    def told(self, evidence: Evidence, answer: BrokenSamples) -> Evidence:
        """Put the number where values are judged."""
        return replace(evidence, closer=replace(evidence.closer, broken_samples=answer))


def broken_samples(source: Source, plan: Plan) -> BrokenSamples | None:
    """How many samples hold NaN or infinity, of those that were read; `None` where none does."""
    whole = plan.limit is None
    read = (
        source.given_batches(plan.batch_size, seed=plan.seed)
        if whole
        else source.batches(plan.batch_size, seed=plan.seed, limit=plan.limit)
    )
    found: list[int] = []
    samples = 0
    for batch in read:
        found += [samples + number for number in _broken(batch)]
        samples += batch.size
    numbered = whole and not source.own_batches
    return BrokenSamples(len(found), samples, found[0] if numbered else None) if found else None


def _broken(batch: Batch) -> list[int]:
    """Their numbers within the batch."""
    bad = torch.zeros(batch.size, dtype=torch.bool)
    for tensor in batch.tensors:
        if tensor.is_floating_point() and len(tensor) == batch.size:
            bad |= ~tensor[:, None].flatten(1).isfinite().all(1).cpu()
    return torch.nonzero(bad).flatten().tolist()


PROBE = BrokenInput()
