"""Do the calls of a layer that runs several times in a forward see one distribution, and does it matter?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bncheck.core import BATCH_NORM, NEAR_MARGIN, MovingAverage, compare, gap_lower_bound, noise_floor, rms
from bncheck.data import Batch
from bncheck.evidence import CallDistances, EffectEvidence, Evidence
from bncheck.predictions import PredictionEffect
from bncheck.probes.case import MORE, Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.session import ProbeSession
from bncheck.watch import CallMoments, Given, Recorder, Site, Statistics

_EXACT = MovingAverage(momentum=None, updates=2**40)
"""The average of the calls is compared with, not estimated by, a moving average."""


class Calls(Probe[Mapping[str, CallDistances]]):
    """Compares the calls of shared layers, and runs samples with each call's own statistics."""

    title = "calls of shared layers"
    needs = Needs(layers=True, suspicion=Suspicion.SHARED_LAYER)

    def cost(self, case: Case) -> int:
        """Count two forwards for each shared layer."""
        shared = sum(layer.calls > 1 for layer in case.observed.measured.values())
        return 2 * shared * case.number(MORE)

    def answer(self, case: Case, session: ProbeSession) -> Mapping[str, CallDistances]:
        """The layers whose calls lie apart, by name."""
        batches, output = session.batches(case.drawn(MORE)), case.subject.plan.output
        return call_distances(session, batches, case.seen.stored, case.seen.folds, output)

    def told(self, evidence: Evidence, answer: Mapping[str, CallDistances]) -> Evidence:
        """Put them where single layers are judged."""
        return replace(evidence, closer=replace(evidence.closer, calls=answer))


def call_distances(
    session: ProbeSession,
    batches: Sequence[Batch],
    stored: Recorder,
    folds: Sequence[Recorder] | None,
    output: str | None,
) -> dict[str, CallDistances]:
    """Layers whose calls lie apart by more than the nearer margin, and what their common statistics cost.

    A call's input depends on how the calls before were normalized, so what each would store by itself is what it saw
    while all were normalized by their batch, where there was such a pass.

    Args:
        session: runs the samples.
        batches: to compare outputs on.
        stored: moments of every call as shipped.
        folds: the same under batch statistics, for each half of the data.
        output: which output is the prediction.
    """
    averages = stored.statistics()
    given = stored if folds is None else Recorder.merged(folds)
    together = given.statistics()
    found = {}
    for name, entries in stored.by_layer().items():
        if len(entries) < 2 or entries[0].layer.kind != BATCH_NORM:
            continue
        distances = [_distance(entry, averages[name]) for entry in entries]
        gap, lower = (max(values) for values in zip(*distances, strict=True))
        if lower > NEAR_MARGIN and name in together:
            own = {site: entry.statistics() for site, entry in given.sites.items() if site.layer == name}
            found[name] = CallDistances(gap, lower, _effect(session, batches, {name: together[name]}, own, output))
    return found


def _distance(entry: CallMoments, average: Statistics) -> tuple[float, float]:
    """RMS gap of the call from the average of all calls, and its lower bound."""
    own, eps = entry.statistics(), entry.layer.eps or 0.0
    table = entry.table()
    gap = rms(compare(own.mean, own.var, average.mean, average.var, eps).gap)
    if table is None or len(table) < 2:
        return gap, 0.0
    noise = rms(noise_floor(table, average.var, eps, _EXACT))
    return gap, gap_lower_bound(table, average.mean, average.var, eps, noise)


def _effect(
    session: ProbeSession,
    batches: Sequence[Batch],
    together: Mapping[str, Statistics],
    of_each: Mapping[Site, Statistics],
    output: str | None,
) -> EffectEvidence | None:
    meter = PredictionEffect(output, None)
    for batch in batches:
        one = session.run(batch, Given(together))
        other = session.run(batch, Given({}, of_each))
        meter.add_recalibrated(one, other, batch.targets)
    return meter.result()


PROBE = Calls()
