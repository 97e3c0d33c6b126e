"""Could batches in the data's own order be random draws?"""

from __future__ import annotations

from dataclasses import replace

from bncheck.core import Exchangeability
from bncheck.data import Source
from bncheck.evidence import Evidence
from bncheck.measure import NEIGHBOURS, Plan, Reading, compare_batches, read_in_order
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.session import ProbeSession

BATCHES, SAMPLES = 16, 4096
"""Batches run in the data's own order, and samples read of a loader for them."""


class BatchOrder(Probe[Exchangeability]):
    """Runs batches as they come, and compares them with rearranged ones."""

    title = "order of the data"
    needs = Needs(samples=0, layers=True, order=True)

    def cost(self, case: Case) -> int:
        """Count the batches that are kept: of a loader all that is read, in batches of its own."""
        if case.subject.source.own_batches:
            return _reading(case.subject.source, case.subject.plan).samples * max(case.fixed_batch or 1, 1)
        return BATCHES * -(-NEIGHBOURS // (case.fixed_batch or 1)) * (case.fixed_batch or 1)

    def answer(self, case: Case, session: ProbeSession) -> Exchangeability | None:
        """How much the batches differ; `None` where there are too few."""
        subject = case.subject
        reading = _reading(subject.source, subject.plan)
        if not reading.most:
            return None
        seen = read_in_order(session, subject.source, reading, subject.progress)
        return compare_batches(seen, subject.plan.seed)

    def told(self, evidence: Evidence, answer: Exchangeability) -> Evidence:
        """Put it where the sampling is judged."""
        return replace(evidence, closer=replace(evidence.closer, order=answer))


def _reading(source: Source, plan: Plan) -> Reading:
    if plan.limit is None:
        return Reading(BATCHES, SAMPLES, BatchOrder.title, plan.memory.moments)
    batches = BATCHES if source.own_batches else min(BATCHES, plan.limit // NEIGHBOURS)
    return Reading(batches, min(SAMPLES, plan.limit), BatchOrder.title, plan.memory.moments)


PROBE = BatchOrder()
