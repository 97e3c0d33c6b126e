"""What would recalibrating do where no batch can be normalized by itself: fixed batches of one, variable lengths?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bncheck.core import THRESHOLDS, compare, rms
from bncheck.data import Batch
from bncheck.evidence import EffectEvidence, Evidence
from bncheck.measure import stored_statistics
from bncheck.predictions import PredictionEffect
from bncheck.probes.case import MORE, Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.session import ProbeSession
from bncheck.watch import STORED, Given, Policy, Recorder, Statistics, together

LAYERS = 12
"""Layers that are given other statistics at the most: each costs a forward of all samples."""

Known = dict[str, Statistics]


@dataclass(frozen=True, slots=True)
class InTurn:
    """What came of it.

    Attributes:
        gaps: the layers that were given other statistics, in running order, with the gap each had once those before it
            were right.
        effect: of all of them together.
    """

    gaps: Mapping[str, float]
    effect: EffectEvidence


class OneAfterTheOther(Probe[InTurn]):
    """Gives the first layer that drifts what it sees, then the next that still does, on two folds of the samples."""

    title = "one layer after the other"
    needs = Needs(layers=True, suspicion=Suspicion.UNMEASURED)

    def cost(self, case: Case) -> int:
        """Count a forward as shipped, one for each layer, and one with all of them."""
        return sum(batch.size for fold in case.folds(MORE) for batch in fold) * (LAYERS + 2)

    def answer(self, case: Case, session: ProbeSession) -> InTurn | None:
        """The layers, and what they do; `None` where none drifts, or there are too few samples to tell."""
        folds = case.folds(MORE)
        if min(sum(batch.size for batch in fold) for fold in folds) < THRESHOLDS.fewest_groups:
            return None
        given: tuple[Known, Known] = ({}, {})
        gaps: dict[str, float] = {}
        for _ in range(LAYERS):
            seen = [_watched(session, fold, known) for fold, known in zip(folds, given, strict=True)]
            name, gap = _first_off(seen[0].merge(seen[1]), gaps)
            if name is None:
                break
            gaps[name] = gap
            for known, recorder in zip(given, seen, strict=True):
                known[name] = recorder.statistics()[name]
        effect = self._effect(case, session, folds, given) if gaps else None
        return None if effect is None else InTurn(gaps, effect)

    def told(self, evidence: Evidence, answer: InTurn) -> Evidence:
        """Put the effect where that of recalibrating stands, which was not measured otherwise."""
        closer = replace(evidence.closer, in_turn=answer.gaps)
        return replace(evidence, closer=closer, effect=answer.effect)

    def _effect(
        self, case: Case, session: ProbeSession, folds: tuple[list[Batch], list[Batch]], given: tuple[Known, Known]
    ) -> EffectEvidence | None:
        """The outputs of each fold as shipped, and by what the other fold showed."""
        plan = case.subject.plan
        meter = PredictionEffect(plan.output, plan.metric, plan.task)
        for fold, other in zip(folds, reversed(given), strict=True):
            for batch in fold:
                meter.add_recalibrated(session.run(batch, STORED), session.run(batch, Given(other)), batch.targets)
        return meter.result()


def _watched(session: ProbeSession, batches: Sequence[Batch], given: Known) -> Recorder:
    policy: Policy = Given(dict(given)) if given else STORED
    return session.recorded(batches, policy)


def _first_off(recorder: Recorder, settled: Mapping[str, float]) -> tuple[str | None, float]:
    """The first layer in running order, of those not settled, that lies off by the nearer margin; and its gap."""
    for name, calls in recorder.by_layer().items():
        entry = together(calls)
        if name in settled or not entry.layer.has_statistics:
            continue
        found = entry.statistics()
        gap = rms(compare(found.mean, found.var, *stored_statistics(entry.layer)).gap)
        if gap > THRESHOLDS.near_margin:
            return name, gap
    return None, 0.0


PROBE = OneAfterTheOther()
