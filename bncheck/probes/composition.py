"""Does the model lean on the company of samples of one label? Runs batches grouped as training may have had them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import torch

from bncheck.data.batches import Batch, Source
from bncheck.evidence.probed import Composition
from bncheck.measure.reservoir import GROUP, SAMPLES
from bncheck.probes.answers import Answers
from bncheck.probes.bench import Bench
from bncheck.watch.policies import BATCH, STORED, Given
from bncheck.watch.recorder import Recorder


def probe_composition(bench: Bench, groups: Sequence[Batch], to_beat: float) -> Composition | None:
    """How the model does in batches of one label.

    `None` where it does no better than as shipped, which ends most probes after a forward or two per label.

    Args:
        bench: runs the model.
        groups: samples of one label each.
        to_beat: accuracy over all data, by the stored statistics or by recalibrated ones.
    """
    size = min(GROUP, groups[0].size) if groups else 0
    if not groups or (bench.fixed is not None and bench.fixed != size):
        return None
    rounds = range(0, groups[0].size, size)
    batches = [group.between(start, start + size) for start in rounds for group in groups]
    answers = bench.answers(batches, BATCH)
    if answers is None or answers.accuracy is None or answers.accuracy <= to_beat:
        return None
    return _composition(bench, batches, answers, len(groups))


def probe_loader(bench: Bench, source: Source, batch_size: int, limit: int = SAMPLES) -> Composition | None:
    """The same for a training loader in its own order and, where it makes its own batches, of its own size.

    Args:
        bench: runs the model.
        source: labelled; its own order is used.
        batch_size: for sources that do not make their own batches.
        limit: samples to run.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
    """
    number = max(limit // batch_size, 2)
    step = max(1, (source.samples or 0) // batch_size // number)  # from all over, where the length is known
    batches = list(islice(source.given_batches(batch_size), 0, number * step, step))
    whole = [batch for batch in batches if batch.size == batches[0].size > 1]
    if len(whole) < 2 or (bench.fixed is not None and bench.fixed != whole[0].size):
        return None
    answers = bench.answers(whole, BATCH)
    if answers is None or answers.accuracy is None:
        return None
    return _composition(bench, whole, answers, None)


def _composition(bench: Bench, batches: Sequence[Batch], grouped: Answers, kinds: int | None) -> Composition | None:
    """The comparison; batches of `kinds` kinds in turn, `None` where they have none."""
    size = batches[0].size
    everything = Batch.join(list(batches))
    order = torch.randperm(everything.size, generator=torch.Generator().manual_seed(0))
    mixed = bench.answers([everything.take(part) for part in torch.split(order, size)], BATCH)
    stored = bench.answers(batches, STORED)
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
        recalibrated=_recalibrated(bench, everything.take(order)),
    )


def _standard_error(by_batch: torch.Tensor, kinds: int | None, samples: int) -> float:
    """Of the mean of batches' accuracies; where there are several of each kind, by what differs within a kind.

    Labels differ in how easy they are, and all of them are here: that is no chance. Batches that are all right or
    all wrong have no spread to go by: no less is given than single samples would show.
    """
    accuracy = float(by_batch.mean())
    binomial = math.sqrt(max(accuracy * (1 - accuracy), 1 / samples) / samples)
    rounds = by_batch.reshape(-1, kinds) if kinds is not None and kinds < len(by_batch) else by_batch.reshape(-1, 1)
    within = rounds.var(0, correction=1) / len(rounds)
    return max(math.sqrt(float(within.sum())) / rounds.shape[1], binomial)


def _recalibrated(bench: Bench, mixed: Batch) -> float | None:
    """Accuracy of each half of the samples by the statistics of the other."""
    size = bench.fixed or -(-mixed.size // 2)
    middle = -(-mixed.size // 2) // size * size
    halves = mixed.between(0, middle), mixed.between(middle, mixed.size)
    right = []
    for measured, judged in (halves, halves[::-1]):
        recorder = Recorder(per_sample=False)
        for start in range(0, measured.size, size):
            bench.run(measured.between(start, start + size), BATCH, recorder)
        answers = bench.answers(list(judged.split(size)), Given(recorder.statistics()))
        if answers is None or answers.right is None:
            return None
        right.append(answers.right)
    return float(torch.cat(right).mean())
