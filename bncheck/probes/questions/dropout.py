"""Does dropout before a norm add variance in training that inference does not see (Li et al. 2018)?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from bncheck.core import compare, rms
from bncheck.data import Batch
from bncheck.evidence import DropoutGap, Evidence
from bncheck.measure import stored_statistics
from bncheck.probes.case import MORE, Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.session import ProbeSession
from bncheck.watch import STORED, Statistics

REPETITIONS = 2
"""Runs with dropout on: each draws other masks."""


class Dropout(Probe[Mapping[str, DropoutGap]]):
    """Runs samples with dropout off and on."""

    title = "dropout on and off"
    needs = Needs(layers=True, dropout=True, suspicion=Suspicion.LAYER_OFF)

    def cost(self, case: Case) -> int:
        """Count a forward with it off, and `REPETITIONS` with it on."""
        return case.number(MORE) * (1 + REPETITIONS)

    def answer(self, case: Case, session: ProbeSession) -> Mapping[str, DropoutGap]:
        """Each layer's gaps, by name."""
        return dropout_gaps(session, case.subject.model.dropouts(), session.batches(case.drawn(MORE)))

    def told(self, evidence: Evidence, answer: Mapping[str, DropoutGap]) -> Evidence:
        """Put them where single layers are judged."""
        return replace(evidence, closer=replace(evidence.closer, dropout=answer))


def dropout_gaps(
    session: ProbeSession, modules: Sequence[nn.Module], batches: Sequence[Batch]
) -> dict[str, DropoutGap]:
    """Each layer's gap on these samples with dropout off and on; the modules are left in eval mode as they were."""
    off = _gaps(session, batches)
    with _switched_on(modules):
        on = _gaps(session, [batch for _ in range(REPETITIONS) for batch in batches])
    return {name: DropoutGap(gap, on[name]) for name, gap in off.items() if name in on}


@contextlib.contextmanager
def _switched_on(modules: Sequence[nn.Module]) -> Iterator[None]:
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.train()
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.train(training)


def _gaps(session: ProbeSession, batches: Sequence[Batch]) -> dict[str, float]:
    recorder = session.recorded(batches, STORED)
    layers = {name: entries[0].layer for name, entries in recorder.by_layer().items()}
    found: dict[str, Statistics] = recorder.statistics()
    gaps = {}
    for name, layer in layers.items():
        mean, var, eps = stored_statistics(layer)
        gap = rms(compare(found[name].mean, found[name].var, mean, var, eps).gap)
        if np.isfinite(gap):
            gaps[name] = gap
    return gaps


PROBE = Dropout()
