"""Does an InstanceNorm with stored statistics predict better by each instance's own?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bncheck.core import INSTANCE_NORM
from bncheck.data import Batch
from bncheck.evidence import EffectEvidence, Evidence
from bncheck.predictions import PredictionEffect
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.session import ProbeSession
from bncheck.watch import STORED, ByInstance

SAMPLES = 512
"""Samples that both are run on: what is at stake is accuracy."""


class Instances(Probe[EffectEvidence]):
    """Runs the same samples by stored statistics and by each instance's own."""

    title = "statistics of each instance"
    needs = Needs(layers=True, labels=True)

    def cost(self, case: Case) -> int:
        """Count two forwards, where there is such a layer."""
        return 2 * case.number(SAMPLES) if _layers(case.observed) else 0

    def answer(self, case: Case, session: ProbeSession) -> EffectEvidence | None:
        """What it does to the predictions; `None` where there is no such layer, or no labels with the data."""
        layers = _layers(case.observed)
        if not layers or not case.seen.labelled:
            return None
        batches = session.batches(case.drawn(SAMPLES))
        plan = case.subject.plan
        return effect_by_instance(session, batches, layers, PredictionEffect(plan.output, plan.metric, plan.task))

    def told(self, evidence: Evidence, answer: EffectEvidence) -> Evidence:
        """Put it where single layers are judged."""
        return replace(evidence, closer=replace(evidence.closer, by_instance=answer))


def effect_by_instance(
    session: ProbeSession, batches: Sequence[Batch], layers: frozenset[str], meter: PredictionEffect
) -> EffectEvidence | None:
    """Compare the outputs as shipped with those where these layers normalize each sample by its own statistics."""
    for batch in batches:
        stored = session.run(batch, STORED)
        meter.add_recalibrated(stored, session.run(batch, ByInstance(layers)), batch.targets)
    return meter.result()


def _layers(evidence: Evidence) -> frozenset[str]:
    return frozenset(name for name, layer in evidence.measured.items() if layer.layer.kind == INSTANCE_NORM)


PROBE = Instances()
