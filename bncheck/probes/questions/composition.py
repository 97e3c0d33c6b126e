"""Does the model lean on batches of one label, or of one kind, as training may have had them?"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import islice

import torch

from bncheck.core import BATCH_NORM, THRESHOLDS, compare, rms
from bncheck.data import Batch, Source
from bncheck.evidence import ACCURACY, Composition, Evidence, Grouping
from bncheck.measure import GROUP, NEIGHBOURS, SAMPLES, Observation
from bncheck.probes.answers import Answers
from bncheck.probes.case import FEW, Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.questions.batch_order import BatchOrder
from bncheck.probes.questions.fed_by_input import FedByInput
from bncheck.probes.session import ProbeSession
from bncheck.settings import SampleMemory
from bncheck.watch import BATCH, STORED, Given, Recorder, together

LEAST_POSITIONS = 16
"""Values of a channel in one sample below which it is no batch by itself."""
RUNS = 5
"""Forwards of every sample at the most: grouped, mixed, as shipped, to measure statistics, and by these."""


class BatchComposition(Probe[Composition]):
    """Runs samples in batches of one label each, in the data's own and a loader's order, alone, and mixed."""

    title = "batch composition"
    needs = Needs(labels=True)
    after = (BatchOrder, FedByInput)

    def cost(self, case: Case) -> int:
        """Count `RUNS` of every sample in a group, of neighbours, of those of a loader, and of single ones."""
        size, training = case.subject.plan.batch_size, case.observed.training
        own = size if training is None else training.batch_size
        loaded = 0 if case.subject.training is None else _number(size) * own
        neighbours = SAMPLES if _is_in_groups(case) else 0
        alone = case.number(FEW) if _normalizes_single_samples(case) else 0
        return RUNS * (sum(group.size for group in case.seen.reservoir.groups()) + loaded + neighbours + alone)

    def answer(self, case: Case, session: ProbeSession) -> Composition | None:
        """How grouped batches do, where that is better than what all the data show; else how the loader's do."""
        plan, source, training = case.subject.plan, case.subject.source, case.subject.training
        found, known = None, _accuracy(case.seen)
        if known is not None and not math.isnan(known):
            found = probe_composition(session, case.seen.reservoir.groups(), known)
        if found is None and case.seen.labelled and _is_in_groups(case):
            found = _if_it_leads(
                probe_loader(session, source, NEIGHBOURS, grouping=Grouping.ORDER, room=plan.memory.kept)
            )
        if found is None and training is not None:
            found = probe_loader(session, training, plan.batch_size, room=plan.memory.kept)
        if found is None and case.seen.labelled and _normalizes_single_samples(case):
            found = probe_alone(session, case.drawn(FEW))
        return found

    def told(self, evidence: Evidence, answer: Composition) -> Evidence:
        """Put it where batch composition is judged."""
        return replace(evidence, probed=replace(evidence.probed, composition=answer))


def _is_in_groups(case: Case) -> bool:
    """Whether the data's own order is no random one, so that neighbours may be what a training batch held."""
    order = case.observed.closer.order
    return order is not None and order.is_grouped


def _normalizes_single_samples(case: Case) -> bool:
    """Whether training may have normalized every sample by itself.

    Every layer sees values enough of one, and the first store the variances within one.
    """
    layers, fed = case.observed.measured.values(), case.observed.closer.fed_by_input
    if not layers or min(layer.positions for layer in layers) < LEAST_POSITIONS:
        return False
    return _is_what_layers_store(case.seen.stored, fed or case.observed.measured)


def _if_it_leads(found: Composition | None) -> Composition | None:
    """The comparison where grouped batches do better than any others."""
    if found is None or not found.by_accuracy:
        return found if found is not None and found.lead is not None and found.lead > 0 else None
    others = (found.mixed, found.stored, *([] if found.recalibrated is None else [found.recalibrated]))
    return found if found.grouped > max(others) else None


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
    return _composition(session, Batch.join(batches), size, answers, Grouping.LABEL, len(groups))


def probe_alone(session: ProbeSession, samples: Batch | None) -> Composition | None:
    """The same for batches of a single sample; `None` where they do no better than as shipped.

    Each normalizes by what it alone holds, which may help on data of another exposure too. So what is stored has to
    be what such batches show: their mean, and the average of the variances within one sample.
    """
    if samples is None or session.fixed_batch not in (None, 1):
        return None
    batches, recorder = list(samples.split(1)), Recorder(per_sample=True)
    answers = session.answers(batches, BATCH, recorder)
    if answers is None or not _is_what_layers_store(recorder, recorder.by_layer()):
        return None
    return _if_it_leads(_composition(session, samples, 1, answers, Grouping.ALONE, None, mixed_size=FEW // 4))


def _is_what_layers_store(recorder: Recorder, names: Container[str], size: int = 1) -> bool:
    """Whether the stored variances are those within batches of `size`, nearer than those of all samples together."""
    within: list[float] = []
    pooled: list[float] = []
    for name, calls in recorder.by_layer().items():
        whole = together(calls)
        table, layer = whole.table() if name in names else None, whole.layer
        if table is None or len(table) % size or layer.kind != BATCH_NORM or not layer.has_statistics:
            continue
        mean, var = layer.statistics
        inside = table.merge_rows(size).instances().variance
        for gaps, variance in ((within, inside), (pooled, whole.moments.variance)):
            gaps.append(rms(compare(mean, variance, mean, var, layer.eps or 0.0).gap))
    return bool(within) and rms(within) <= min(THRESHOLDS.margin, rms(pooled))


def probe_loader(
    session: ProbeSession,
    source: Source,
    batch_size: int,
    limit: int = SAMPLES,
    *,
    grouping: Grouping = Grouping.LOADER,
    room: int = SampleMemory().kept,
) -> Composition | None:
    """The same for a training loader in its own order and, where it makes its own batches, of its own size.

    Args:
        session: runs the samples.
        source: labelled; its own order is used.
        batch_size: for sources that do not make their own batches.
        limit: samples to run.
        grouping: what its batches are called.
        room: bytes that the samples may take, of which there are two batches all the same.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
    """
    everything, size = _of_loader(source, batch_size, limit, room)
    if everything is None or (session.fixed_batch is not None and session.fixed_batch != size):
        return None
    whole = list(everything.split(size))
    recorder = Recorder(per_sample=True) if grouping == Grouping.ORDER else None
    answers = session.answers(whole, BATCH, recorder)
    if answers is None:
        return None
    if recorder is not None and not _is_what_layers_store(recorder, recorder.by_layer(), size):
        return None  # each group's own statistics would help a network that was trained on mixed ones just as well
    return _composition(session, everything, size, answers, grouping, None)


def _of_loader(source: Source, batch_size: int, limit: int, room: int) -> tuple[Batch | None, int]:
    """The samples of some batches of one size, joined so that they are held once, and that size; two at the least."""
    reading = source.given_batches(batch_size)
    first = next(reading, None)
    if first is None or first.size < 2:
        return None, 0
    taken = sum(tensor.nbytes for tensor in first.tensors)
    number = max(min(_number(batch_size, limit), room // max(1, taken)), 2)
    step = max(1, (source.samples or 0) // batch_size // number)  # from all over, where the length is known
    batches = [first, *islice(reading, step - 1, (number - 1) * step, step)]
    whole = [batch for batch in batches if batch.size == first.size]
    return (Batch.join(whole), first.size) if len(whole) > 1 else (None, 0)


def _number(batch_size: int, limit: int = SAMPLES) -> int:
    """Batches of a loader that are run."""
    return max(limit // batch_size, 2)


def _accuracy(seen: Observation) -> float | None:
    """Accuracy over all data, by the stored or by recalibrated statistics, the better one; `None` without labels."""
    effect = seen.effect.result()
    accuracy = None if effect is None else effect.foremost.accuracy
    if accuracy is None:
        return None
    known = (accuracy.stored, accuracy.recalibrated)
    return max((one for one in known if one is not None), default=None)


def _composition(
    session: ProbeSession,
    everything: Batch,
    batch_size: int,
    answers: Answers,
    grouping: Grouping,
    kinds: int | None,
    *,
    mixed_size: int | None = None,
) -> Composition | None:
    """The comparison; batches of `kinds` kinds in turn, `None` where they have none."""
    size = mixed_size or batch_size
    batches = list(everything.split(batch_size))
    order = torch.randperm(everything.size, generator=torch.Generator().manual_seed(0))
    back = order.argsort()
    mixed = _quality(session.answers([everything.take(part) for part in torch.split(order, size)], BATCH))
    stored = _quality(session.answers(batches, STORED))
    grouped = _quality(answers)
    if grouped is None or mixed is None or stored is None or math.isnan(float(grouped.mean())):
        return None
    recalibrated = _recalibrated(session, everything.take(order))
    others = [stored, mixed[back], *([] if recalibrated is None else [recalibrated[back]])]
    best = max(others, key=lambda one: float(one.mean()))
    by_accuracy = answers.right is not None
    sign = 1 if by_accuracy else -1
    return Composition(
        by_label=grouping == Grouping.LABEL,
        batch_size=batch_size,
        batches=len(batches),
        samples=everything.size,
        grouped=sign * float(grouped.mean()),
        grouped_error=standard_error(
            grouped.reshape(len(batches), -1).mean(1), kinds, everything.size if by_accuracy else None
        ),
        mixed=sign * float(mixed.mean()),
        stored=sign * float(stored.mean()),
        recalibrated=None if recalibrated is None else sign * float(recalibrated.mean()),
        grouping=grouping,
        score=ACCURACY if by_accuracy else answers.loss_name,
        lead=float((grouped - best).mean()),
        lead_error=standard_error((grouped - best).reshape(len(batches), -1).mean(1), kinds, None),
    )


def _quality(answers: Answers | None) -> torch.Tensor | None:
    """How good each sample's prediction is, larger being better: right, or the loss turned over."""
    if answers is None:
        return None
    return answers.right if answers.right is not None else None if answers.losses is None else -answers.losses


def standard_error(by_batch: torch.Tensor, kinds: int | None, samples: int | None) -> float:
    """Of the mean over batches; where there are several of each kind, by what differs within a kind.

    Labels differ in how easy they are, and all of them are here: that is not random. Batches that are all right or
    all wrong have no spread to go by: of `samples` that are right or wrong no less is given than they would show.
    """
    mean = float(by_batch.mean())
    least = 0.0 if samples is None else math.sqrt(max(mean * (1 - mean), 1 / samples) / samples)
    rounds = by_batch.reshape(-1, kinds) if kinds is not None and kinds < len(by_batch) else by_batch.reshape(-1, 1)
    if len(rounds) < 2:
        return math.nan  # one batch of each kind does not tell how far another would lie
    within = rounds.var(0, correction=1) / len(rounds)
    return max(math.sqrt(float(within.sum())) / rounds.shape[1], least)


def _recalibrated(session: ProbeSession, mixed: Batch) -> torch.Tensor | None:
    """How good each sample of both folds is predicted by the statistics of the other fold."""
    size = session.fixed_batch or -(-mixed.size // 2)
    middle = -(-mixed.size // 2) // size * size
    folds = mixed.between(0, middle), mixed.between(middle, mixed.size)
    found = []
    for measured, judged in (folds, folds[::-1]):
        recorder = session.recorded(measured.split(size), BATCH)
        quality = _quality(session.answers(list(judged.split(size)), Given(recorder.statistics())))
        if quality is None:
            return None
        found.append(quality)
    return torch.cat(found[::-1])


PROBE = BatchComposition()
