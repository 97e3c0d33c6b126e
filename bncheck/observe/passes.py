"""The passes over the data: batch statistics first, then the model as shipped beside its recalibrated self.

Every batch is read as two halves, one for each fold. The batch pass measures each fold's statistics with
all layers normalizing by the batch. The stored pass then runs each half as shipped and, in step with it,
by the statistics of the *other* fold, so outputs are compared on the spot and nothing is promised that
was fitted on the data it is judged by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bncheck.data.batches import Batch, Source
from bncheck.errors import DataError
from bncheck.layers import NormLayer
from bncheck.models.base import Model
from bncheck.observe.effect import EffectMeter, Metric
from bncheck.observe.instrument import Instrument, instrument
from bncheck.observe.policies import BATCH, STORED, Given, Policy
from bncheck.observe.precision import coarsest_precision
from bncheck.observe.probes import Seen, run_probes
from bncheck.observe.probes.kept import Kept
from bncheck.observe.recorder import Recorder
from bncheck.observe.running import Progress, part
from bncheck.probed import Probed

LARGE_BATCH = 256
"""Samples normalized together in the batch pass: large, so that its statistics are not noise."""
SMALL_BATCH = 16
"""Below this many samples batch statistics say more about the batch than about the layer."""
BATCH_VALUES = 2**24
"""Input values in one batch of the batch pass (64 MiB in float32), a bound on memory."""
NOISE_SAMPLES = 512
"""Samples on which the two folds' statistics are compared with each other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the data are to be read.

    Attributes:
        batch_size: samples in a forward of the stored pass.
        limit: samples to draw, `None` for all.
        seed: of every draw.
        output: which output is the prediction (`--output`).
        metric: the user's own accuracy, `None` for top-1.
    """

    batch_size: int = 64
    limit: int | None = None
    seed: int = 0
    output: str | None = None
    metric: Metric | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What the passes saw.

    Attributes:
        stored: moments of every call as shipped, samples apart.
        folds: moments of every call under batch statistics, for each half of the data; `None` where there
            was no batch pass.
        effect: comparisons of outputs.
        probed: what running a few samples again has shown.
        samples: samples read.
        dropped: samples left over that a fixed batch size could not take.
        labelled: whether they had labels.
        fixed_batch: the only batch size that could be run; `None` where any could.
        found: layers without stored statistics that only running the model revealed, by name.
        unsupported: layers that turned out not to normalize by what they store.
        notes: what could not be measured, and why.
    """

    stored: Recorder
    folds: tuple[Recorder, Recorder] | None
    effect: EffectMeter
    probed: Probed
    samples: int
    dropped: int
    labelled: bool
    fixed_batch: int | None
    found: Mapping[str, NormLayer]
    unsupported: frozenset[str]
    notes: tuple[str, ...]


def observe(model: Model, source: Source, plan: Plan, progress: Progress) -> Observation:
    """Run `model` on `source` and collect everything the diagnosis needs.

    Raises:
        DataError: the data are empty, cannot be read, or do not fit the model.
    """
    with instrument(model, source.name, plan.seed) as watched:
        passes = _Passes(source, plan, progress, watched)
        folds = passes.batch_pass()
        stored = passes.stored_pass(folds)
        probed = run_probes(watched, passes.seen(stored, coarsest_precision(model)))
    return Observation(
        stored=stored,
        folds=folds,
        effect=passes.effect,
        probed=probed,
        samples=passes.samples,
        dropped=passes.dropped,
        labelled=passes.labelled,
        fixed_batch=watched.fixed_batch,
        found=watched.found,
        unsupported=frozenset(watched.unsupported),
        notes=(*watched.notes, *passes.notes),
    )


class _Passes:
    """The two passes over one source."""

    def __init__(self, source: Source, plan: Plan, progress: Progress, watched: Instrument) -> None:
        self.source = source
        self.plan = plan
        self.progress = progress
        self.watched = watched
        self.effect = EffectMeter(plan.output, plan.metric)
        self.kept = Kept()
        self.samples = 0
        self.dropped = 0
        self.labelled = False
        self.notes: list[str] = []
        self.fixed = watched.fixed_batch
        self.expected = self._expected()
        self.half = self.fixed or self._large_batch()

    def batch_pass(self) -> tuple[Recorder, Recorder] | None:
        """Moments of each fold while every layer normalizes by its batch."""
        if self.fixed is not None and self.fixed < SMALL_BATCH:
            self.notes.append(
                f"no batch pass: the program takes batches of exactly {self.fixed}, too few to "
                "normalize by; export it with a dynamic batch dimension for own gaps and effect"
            )
            return None
        folds = (Recorder(apart=False), Recorder(apart=False))
        seen = [0, 0]
        for halves in self._halves("batch statistics"):
            if min(half.size for half in halves) < min(SMALL_BATCH, max(seen)):
                continue  # a last few samples that would be normalized by themselves
            for fold, half in enumerate(halves):
                if half.size > 1:
                    output = self.watched.run(half, BATCH, folds[fold])
                    self.effect.add_batch(output, half.labels)
                    seen[fold] += half.size
        if min(seen) == 0:
            self.notes.append("no batch pass: it needs four samples at the least")
            return None
        return folds

    def stored_pass(self, folds: tuple[Recorder, Recorder] | None) -> Recorder:
        """Moments as shipped, and in step with it the outputs under each other's statistics."""
        recorder = Recorder(apart=True)
        recalibrated = None if folds is None else [Given(fold.statistics()) for fold in folds]
        for halves in self._halves("stored statistics"):
            for fold, half in enumerate(halves):
                for chunk in self._chunks(half):
                    self.labelled = self.labelled or chunk.labels is not None
                    self.kept.add(chunk)
                    stored = self.watched.run(chunk, STORED, recorder)
                    if recalibrated is not None:
                        self._compare(chunk, stored, recalibrated[1 - fold], recalibrated[fold])
                    else:
                        self.effect.add_stored(stored, chunk.labels)
                    self.samples += chunk.size
        if self.samples == 0:
            raise DataError(
                f"{self.source.name} gave no samples"
                + (f" in whole batches of {self.fixed}, the only size the model takes" if self.dropped else "")
                + "."
            )
        return recorder

    def seen(self, stored: Recorder, precision: float | None) -> Seen:
        """What probes go by."""
        effect = self.effect.result()
        accuracy = None if effect is None else effect.accuracy
        known = [] if accuracy is None else [accuracy.stored, accuracy.recalibrated]
        return Seen(
            kept=self.kept,
            stored=stored,
            accuracy=max((one for one in known if one is not None), default=None),
            top1=self.plan.metric is None,
            precision=precision,
            output=self.plan.output,
            batch_size=self.plan.batch_size,
            seed=self.plan.seed,
        )

    def _compare(self, chunk: Batch, stored: Any, other: Policy, own: Policy) -> None:
        recalibrated = self.watched.run(chunk, other, None)
        self.effect.add_recalibrated(stored, recalibrated, chunk.labels)
        if self.samples < NOISE_SAMPLES:
            self.effect.add_noise(recalibrated, self.watched.run(chunk, own, None), chunk.labels)

    def _halves(self, task: str) -> Iterator[tuple[Batch, Batch]]:
        """The data as pairs of half batches, the same pairs at every call."""
        done = 0
        for batch in self._batches():
            middle = min(self.half, batch.size) if self.fixed else (batch.size + 1) // 2
            yield part(batch, 0, middle), part(batch, middle, batch.size)
            done += batch.size
            self.progress(task, done, self.expected)

    def _batches(self) -> Iterator[Batch]:
        fixed = self.fixed
        self.dropped = 0
        for batch in self.source.batches(2 * self.half, seed=self.plan.seed, limit=self.plan.limit):
            whole = batch.size if fixed is None else batch.size // fixed * fixed
            self.dropped += batch.size - whole
            if whole:
                yield part(batch, 0, whole)

    def _chunks(self, batch: Batch) -> Iterator[Batch]:
        size = self.fixed or self.plan.batch_size
        for start in range(0, batch.size, size):
            yield part(batch, start, start + size)

    def _large_batch(self) -> int:
        """As many samples as batch statistics want and memory takes; equal halves where the number is known."""
        first = next(self.source.given_batches(1, limit=1), None)
        values = max(_values(first), 1) if first is not None else 1
        largest = max(self.plan.batch_size, min(LARGE_BATCH, BATCH_VALUES // values), 2)
        expected = self.expected
        if expected is None:
            return largest
        pairs = -(-expected // (2 * largest))
        return max(1, -(-expected // (2 * max(pairs, 1))))

    def _expected(self) -> int | None:
        limit, samples = self.plan.limit, self.source.samples
        if samples is None:
            return limit
        return samples if limit is None else min(limit, samples)


def _values(batch: Batch) -> int:
    """Input values of one sample."""
    inputs = batch.inputs
    tensors = inputs.values() if isinstance(inputs, dict) else inputs if isinstance(inputs, tuple) else (inputs,)
    return sum(tensor[0].numel() for tensor in tensors if tensor.dim() and len(tensor))
