"""Which layers are fed by the input alone, with no other normalization before them?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bncheck.core import THRESHOLDS, compare, rms
from bncheck.evidence import Evidence
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.session import ProbeSession
from bncheck.watch import BATCH, STORED, CallMoments, together

TRACING = 16
"""Samples that show it: the fewer, the farther their own statistics lie from the stored ones."""


class FedByInput(Probe[frozenset[str]]):
    """Compares what layers are fed under two policies: where no norm comes before, it is the same."""

    title = "layers fed by the input"
    needs = Needs(layers=True)

    def cost(self, case: Case) -> int:
        """Count a forward under each policy."""
        return 2 * case.number(TRACING)

    def answer(self, case: Case, session: ProbeSession) -> frozenset[str]:
        """The names of these layers."""
        few = session.batches(case.drawn(TRACING))
        shipped, by_batch = (session.recorded(few, policy).by_layer() for policy in (STORED, BATCH))
        return frozenset(name for name, calls in shipped.items() if name in by_batch and _same(calls, by_batch[name]))

    def told(self, evidence: Evidence, answer: frozenset[str]) -> Evidence:
        """Put the names where single layers are judged."""
        return replace(evidence, closer=replace(evidence.closer, fed_by_input=answer))


def _same(one: list[CallMoments], other: list[CallMoments]) -> bool:
    a, b = together(one), together(other)
    eps = a.layer.eps or float(np.finfo(np.float32).eps)
    gap = compare(b.moments.mean, b.moments.variance, a.moments.mean, a.moments.variance, eps).gap
    return rms(gap) < THRESHOLDS.fed_alike


PROBE = FedByInput()
