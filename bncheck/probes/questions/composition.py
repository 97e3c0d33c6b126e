"""Does the model lean on batches of one label, or of one kind, as training may have had them?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import torch

from bncheck.data import Batch, Source
from bncheck.evidence import Composition, Evidence
from bncheck.measure import GROUP, SAMPLES, Observation
from bncheck.probes.answers import Answers
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.session import ProbeSession
from bncheck.watch import BATCH, STORED, Given

RUNS = 5
"""Forwards of every sample at the most: grouped, mixed, as shipped, to measure statistics, and by these."""


class BatchComposition(Probe[Composition]):
    """Runs samples in batches of one label each, and in those of a training loader, and mixed."""

    needs = Needs(labels=True)

    def cost(self, case: Case) -> int:
        """Count `RUNS` of every sample in a group, and of those of a loader."""
        size, training = case.subject.plan.batch_size, case.observed.training
        own = size if training is None else training.batch_size
        loaded = 0 if case.subject.training is None else _number(size) * own
        return RUNS * (sum(group.size for group in case.seen.reservoir.groups()) + loaded)

    def answer(self, case: Case, session: ProbeSession) -> Composition | None:
        """How grouped batches do, where that is better than what all the data show; else how the loader's do."""
        plan, training = case.subject.plan, case.subject.training
        found, known = None, _accuracy(case.seen)
        if known is not None and not math.isnan(known):
            found = probe_composition(session, case.seen.reservoir.groups(), known)
        if found is None and training is not None:
            found = probe_loader(session, training, plan.batch_size)
        return found

    def told(self, evidence: Evidence, answer: Composition) -> Evidence:
        """Put it where batch composition is judged."""
        return replace(evidence, probed=replace(evidence.probed, composition=answer))


def probe_composition(session: ProbeSession, groups: Sequence[Batch], to_beat: float) -> Composition | None:
    """How the model does in batches of one label.

    `None` where it does no better than as shipped, which ends most probes after a forward or two per label.

    Args:
        session: runs the samples.
        groups: samples of one label each.
        to_beat: accuracy over all data, by the stored statistics or by recalibrated ones.
    """
    size = min(GROUP, groups[0].size) if groups else 0
    if not groups or (session.fixed_batch is not None and session.fixed_batch != size):
        return None
    rounds = range(0, groups[0].size, size)
    batches = [group.between(start, start + size) for start in rounds for group in groups]
    answers = session.answers(batches, BATCH)
    if answers is None or answers.accuracy is None or answers.accuracy <= to_beat:
        return None
    return _composition(session, batches, answers, len(groups))


def probe_loader(session: ProbeSession, source: Source, batch_size: int, limit: int = SAMPLES) -> Composition | None:
    """The same for a training loader in its own order and, where it makes its own batches, of its own size.

    Args:
        session: runs the samples.
        source: labelled; its own order is used.
        batch_size: for sources that do not make their own batches.
        limit: samples to run.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
    """
    number = _number(batch_size, limit)
    step = max(1, (source.samples or 0) // batch_size // number)  # from all over, where the length is known
    batches = list(islice(source.given_batches(batch_size), 0, number * step, step))
    whole = [batch for batch in batches if batch.size == batches[0].size > 1]
    if len(whole) < 2 or (session.fixed_batch is not None and session.fixed_batch != whole[0].size):
        return None
    answers = session.answers(whole, BATCH)
    if answers is None or answers.accuracy is None:
        return None
    return _composition(session, whole, answers, None)


def _number(batch_size: int, limit: int = SAMPLES) -> int:
    """Batches of a loader that are run."""
    return max(limit // batch_size, 2)


def _accuracy(seen: Observation) -> float | None:
    """Accuracy over all data, by the stored or by recalibrated statistics, the better one; `None` without labels."""
    effect = seen.effect.result()
    if effect is None or effect.accuracy is None:
        return None
    known = (effect.accuracy.stored, effect.accuracy.recalibrated)
    return max((one for one in known if one is not None), default=None)


def _composition(
    session: ProbeSession, batches: Sequence[Batch], grouped: Answers, kinds: int | None
) -> Composition | None:
    """The comparison; batches of `kinds` kinds in turn, `None` where they have none."""
    size = batches[0].size
    everything = Batch.join(list(batches))
    order = torch.randperm(everything.size, generator=torch.Generator().manual_seed(0))
    mixed = session.answers([everything.take(part) for part in torch.split(order, size)], BATCH)
    stored = session.answers(batches, STORED)
    if mixed is None or stored is None or grouped.right is None or mixed.accuracy is None or stored.accuracy is None:
        return None
    accuracy = grouped.accuracy or 0.0
    return Composition(
        by_label=kinds is not None,
        batch_size=size,
        batches=len(batches),
        samples=everything.size,
        grouped=accuracy,
        grouped_error=_standard_error(grouped.right.reshape(len(batches), -1).mean(1), kinds, everything.size),
        mixed=mixed.accuracy,
        stored=stored.accuracy,
        recalibrated=_recalibrated(session, everything.take(order)),
    )


def _standard_error(by_batch: torch.Tensor, kinds: int | None, samples: int) -> float:
    """Of the mean of batches' accuracies; where there are several of each kind, by what differs within a kind.

    Labels differ in how easy they are, and all of them are here: that is not random. Batches that are all right or
    all wrong have no spread to go by: no less is given than single samples would show.
    """
    accuracy = float(by_batch.mean())
    binomial = math.sqrt(max(accuracy * (1 - accuracy), 1 / samples) / samples)
    rounds = by_batch.reshape(-1, kinds) if kinds is not None and kinds < len(by_batch) else by_batch.reshape(-1, 1)
    within = rounds.var(0, correction=1) / len(rounds)
    return max(math.sqrt(float(within.sum())) / rounds.shape[1], binomial)


def _recalibrated(session: ProbeSession, mixed: Batch) -> float | None:
    """Accuracy of each half of the samples by the statistics of the other."""
    size = session.fixed_batch or -(-mixed.size // 2)
    middle = -(-mixed.size // 2) // size * size
    halves = mixed.between(0, middle), mixed.between(middle, mixed.size)
    right = []
    for measured, judged in (halves, halves[::-1]):
        recorder = session.recorded(measured.split(size), BATCH)
        answers = session.answers(list(judged.split(size)), Given(recorder.statistics()))
        if answers is None or answers.right is None:
            return None
        right.append(answers.right)
    return float(torch.cat(right).mean())


PROBE = BatchComposition()
