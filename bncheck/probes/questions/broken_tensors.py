"""Which of the model's own tensors are not finite, where what its layers see, or it answers, is not?"""

from __future__ import annotations

from dataclasses import replace

from bncheck.data import is_finite
from bncheck.evidence import Evidence
from bncheck.formats import Backend
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.session import ProbeSession


class BrokenTensors(Probe[tuple[str, ...]]):
    """Looks through the model's tensors; nothing is run."""

    title = "tensors of the model"
    needs = Needs(samples=0, suspicion=Suspicion.NOT_FINITE)

    def cost(self, case: Case) -> int:
        """Count nothing."""
        return 0

    def answer(self, case: Case, session: ProbeSession) -> tuple[str, ...]:
        """Their names."""
        return broken_tensors(case.subject.model)

    def told(self, evidence: Evidence, answer: tuple[str, ...]) -> Evidence:
        """Put the names where values are judged."""
        return replace(evidence, closer=replace(evidence.closer, broken=answer))


def broken_tensors(model: Backend) -> tuple[str, ...]:
    """Names of the parameters, buffers or initializers that hold NaN or infinity, in the model's order."""
    return tuple(
        name
        for name, value in model.tensors().items()
        if value.is_floating_point() and not bool(is_finite(value).all())
    )


PROBE = BrokenTensors()
