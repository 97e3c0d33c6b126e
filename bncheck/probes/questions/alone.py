"""How far does each suspected layer move the outputs by itself?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bncheck.data import Batch
from bncheck.evidence import Evidence
from bncheck.predictions import PredictionEffect
from bncheck.probes.case import FEW, Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.session import ProbeSession
from bncheck.watch import STORED, Given, Statistics

LAYERS = 12
"""Layers asked one by one at the most: each costs a forward."""


class Alone(Probe[Mapping[str, float]]):
    """Runs samples with one layer after the other normalizing by what was measured."""

    needs = Needs(layers=True, suspicion=Suspicion.LAYER_OFF)

    def cost(self, case: Case) -> int:
        """Count a forward as shipped, and one for each layer."""
        return case.number(FEW) * (1 + len(case.suspects[:LAYERS]))

    def answer(self, case: Case, session: ProbeSession) -> Mapping[str, float]:
        """Relative L2 change of the outputs, by layer."""
        measured, output = case.seen.stored.statistics(), case.subject.plan.output
        return moved_alone(session, session.batches(case.drawn(FEW)), measured, case.suspects[:LAYERS], output)

    def told(self, evidence: Evidence, answer: Mapping[str, float]) -> Evidence:
        """Put the changes where single layers are judged."""
        return replace(evidence, closer=replace(evidence.closer, alone=answer))


def moved_alone(
    session: ProbeSession,
    batches: Sequence[Batch],
    measured: Mapping[str, Statistics],
    layers: Iterable[str],
    output: str | None,
) -> dict[str, float]:
    """Relative L2 change of the outputs where that layer alone normalizes by its measured statistics.

    Args:
        session: runs the samples.
        batches: to run.
        measured: what each layer saw as shipped.
        layers: to ask about.
        output: which output is the prediction.
    """
    shipped = [session.run(batch, STORED) for batch in batches]
    moved = {}
    for name in layers:
        if name in measured:
            policy = Given({name: measured[name]})
            meter = PredictionEffect(output, None)
            for batch, before in zip(batches, shipped, strict=True):
                meter.add_recalibrated(before, session.run(batch, policy), None)
            effect = meter.result()
            change = None if effect is None else effect.output_change
            if change is not None and np.isfinite(change):
                moved[name] = change
    return moved


PROBE = Alone()
