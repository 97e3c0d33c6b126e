"""What does each suspected layer do to the predictions by itself, and those that are certainly wrong together?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bncheck.core import THRESHOLDS
from bncheck.data import Batch
from bncheck.evidence import EffectEvidence, Evidence
from bncheck.measure import SMALL_BATCH
from bncheck.predictions import PredictionEffect
from bncheck.probes.case import FEW, Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.questions.calls import Calls
from bncheck.probes.questions.fed_by_input import FedByInput
from bncheck.probes.session import ProbeSession
from bncheck.rules import localised
from bncheck.watch import BATCH, STORED, Given, Recorder, Statistics

LAYERS = 12
"""Layers asked one by one at the most: each costs a forward."""
JUDGED = 600
"""Samples on which layers that are certainly wrong are judged: three forwards each."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What single layers do.

    Attributes:
        alone: each suspect by itself.
        wrong: those that are certainly wrong.
        together: all of these; `None` where there are none, or their outputs cannot be compared.
    """

    alone: Mapping[str, EffectEvidence]
    wrong: tuple[str, ...]
    together: EffectEvidence | None


class Alone(Probe[Moved]):
    """Runs samples with one layer after the other normalizing by what was measured."""

    title = "one layer at a time"
    needs = Needs(layers=True, suspicion=Suspicion.LAYER_OFF)
    after = (FedByInput, Calls)

    def cost(self, case: Case) -> int:
        """Count a forward as shipped, one for each layer, and three for the comparison of those that are wrong."""
        single = case.number(FEW) * (1 + len(case.suspects[:LAYERS]))
        return single + (3 * case.number(JUDGED) if localised(case.observed) else 0)

    def answer(self, case: Case, session: ProbeSession) -> Moved:
        """What each does, and what those do together."""
        plan, measured = case.subject.plan, case.seen.stored.statistics()
        meter = PredictionEffect(plan.output, plan.metric, plan.task)
        wrong = localised(case.observed)
        suspects = tuple(dict.fromkeys((*wrong[:LAYERS], *case.suspects)))[:LAYERS]
        alone = moved_alone(session, session.batches(case.drawn(FEW)), measured, suspects, meter)
        samples = case.drawn(JUDGED)
        together = None if not wrong or samples is None else moved_together(session, samples, wrong, meter)
        return Moved(alone, wrong, together)

    def told(self, evidence: Evidence, answer: Moved) -> Evidence:
        """Put the changes where single layers are judged."""
        closer = replace(evidence.closer, alone=answer.alone, wrong=answer.wrong, together=answer.together)
        return replace(evidence, closer=closer)


def moved_alone(
    session: ProbeSession,
    batches: Sequence[Batch],
    measured: Mapping[str, Statistics],
    layers: Iterable[str],
    meter: PredictionEffect,
) -> dict[str, EffectEvidence]:
    """What happens to the outputs where that layer alone normalizes by its measured statistics.

    Args:
        session: runs the samples.
        batches: to run.
        measured: what each layer saw as shipped.
        layers: to ask about.
        meter: reads outputs; it is not changed.
    """
    shipped = [session.run(batch, STORED) for batch in batches]
    moved = {}
    for name in layers:
        if name in measured:
            policy, own = Given({name: measured[name]}), meter.copy()
            for batch, before in zip(batches, shipped, strict=True):
                own.add_recalibrated(before, session.run(batch, policy), batch.targets)
            effect = own.result()
            if effect is not None:
                moved[name] = effect
    return moved


def moved_together(
    session: ProbeSession, samples: Batch, layers: Sequence[str], meter: PredictionEffect
) -> EffectEvidence | None:
    """What happens where these layers normalize by what the other fold of the samples shows while all do so.

    Args:
        session: runs the samples.
        samples: to run; too few leave nothing to compare.
        layers: that take other statistics.
        meter: reads outputs; it is not changed.
    """
    size, middle = session.fixed_batch or 1, samples.size // 2
    middle -= middle % size
    if middle < THRESHOLDS.fewest_groups:
        return None
    folds = [samples.between(0, middle), samples.between(middle, samples.size)]
    given = [_under_batches(session, fold, layers) for fold in folds]
    own = meter.copy()
    for fold, policy in zip(folds, reversed(given), strict=True):
        for batch in session.batches(fold):
            own.add_recalibrated(session.run(batch, STORED), session.run(batch, policy), batch.targets)
    return own.result()


def _under_batches(session: ProbeSession, samples: Batch, layers: Sequence[str]) -> Given:
    """What these layers see while every layer normalizes by its batch."""
    recorder = Recorder(per_sample=False)
    chunks = session.batches(samples)
    for chunk in chunks:
        if chunk.size >= SMALL_BATCH or len(chunks) == 1:
            session.run(chunk, BATCH, recorder)
    found = recorder.statistics()
    return Given({name: found[name] for name in layers if name in found})


PROBE = Alone()
