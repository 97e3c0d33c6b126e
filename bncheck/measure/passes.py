"""The passes over the data: batch statistics first, then the model as shipped beside its recalibrated self.

Every batch is read as two halves, one for each cross-fitting fold. The batch pass measures each fold's statistics
with all layers normalizing by the batch. The stored pass then runs each half as shipped and, in step with it, by the
statistics of the *other* fold, so outputs are compared on the spot and nothing is promised that was fitted on the
data it is judged by.

Several processes can share a pass: each reads every n-th pair of half batches (`Shard`), what they collected is
merged, and the stored pass of each goes by the merged statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from bncheck.data import Batch, Source
from bncheck.errors import MemoryLimitError, UnfitError, is_out_of_memory
from bncheck.formats import beyond_memory
from bncheck.measure.folds import Chunk, FoldPair
from bncheck.measure.observation import NO_SAMPLE, BatchPass, Observation, SessionFacts, StoredPass
from bncheck.measure.plan import BATCH_STAGE, STORED_STAGE, Plan
from bncheck.measure.processes.portions import SMALL_BATCH, WHOLE, Shard
from bncheck.measure.reservoir import Reservoir
from bncheck.measure.slices.reading import Sliced
from bncheck.measure.stopping import Look, StoppingRule
from bncheck.predictions import PredictionEffect, not_finite
from bncheck.progress import Progress
from bncheck.results import BatchesReduced, FixedBatchTooSmall, NoMemoryForBatchPass, Note, OnlyAsShipped
from bncheck.watch import BATCH, STORED, Given, Policy, Recorder, Session
from bncheck.watch import Batch as ByBatch

NOISE_SAMPLES = 512
"""Samples on which the two folds' statistics are compared with each other: the first of the reading."""


class Passes:
    """Runs the two passes over one source, or over a shard of it.

    Args:
        session: the model, watched.
        source: the data.
        plan: how to read them.
        progress: told how far it is.
        shard: which pairs are read here.
        gaps_only: compare no outputs, and keep no samples.
        look: which samples are run by the batch and compared.
    """

    def __init__(
        self,
        session: Session,
        source: Source,
        plan: Plan,
        progress: Progress,
        *,
        shard: Shard = WHOLE,
        gaps_only: bool = False,
        look: Look | None = None,
    ) -> None:
        self._step = plan.ranks.step if shard.joint else None
        self._by_batch = BATCH if self._step is None else ByBatch(self._step.together)
        whole = gaps_only or plan.exhaustive or plan.until > 0 or shard.joint
        self._look = look or Look.first(source, plan.limit, whole=whole, shard=shard)
        self._session = session
        self._source = source
        self._plan = plan
        self._gaps_only = gaps_only
        self._fixed = session.fixed_batch
        self._folds = plan.folds(source, self._fixed, progress, shard)
        self._shares = shard.count > 1
        self._stop = self._first_stop = StoppingRule.of(plan.until, source, shard)
        self._notes: tuple[Note, ...] = ()

    def batch_pass(self) -> BatchPass:
        """Moments of each fold while every layer normalizes by its batch; by fewer samples where memory is short.

        Raises:
            DataError: the data cannot be read, or do not fit the model.
        """
        if self._plan.fast:
            return self._no_batch_pass((OnlyAsShipped(),))
        smallest = max(self._plan.batch_size, SMALL_BATCH)
        while True:
            try:
                return self._batch_pass()
            except MemoryLimitError:
                tried = self._folds.half
                if self._fixed is not None or tried <= self._plan.batch_size or self._shares:
                    raise
            if tried <= smallest:
                return self._no_batch_pass((NoMemoryForBatchPass(tried),))
            fewer = max(smallest, tried // 2)
            self._notes = (BatchesReduced(fewer),)
            self._folds = self._folds.with_large_batch(fewer)
            self._stop = self._first_stop

    def _no_batch_pass(self, notes: tuple[Note, ...]) -> BatchPass:
        folds = tuple(Recorder(per_sample=False, errors=False, seed=self._plan.seed) for _ in range(2))
        return BatchPass((folds[0], folds[1]), self._meter(), (0, 0), self._first_stop, notes)

    def _batch_pass(self) -> BatchPass:
        errors, seed = self._stop.is_wanted, self._plan.seed
        folds = tuple(Recorder(per_sample=False, errors=errors, seed=seed) for _ in range(2))
        effect, seen, until = self._meter(), [0, 0], self._look.start
        notes = self._notes
        if self._fixed is not None and self._fixed < SMALL_BATCH:
            notes = (FixedBatchTooSmall(self._fixed),)
        else:
            with nullcontext() if self._step is None else self._step.reading():
                for pair in self._folds.read(BATCH_STAGE):
                    if pair.start >= self._look.start and not self._look.holds(pair):
                        break
                    if pair.start < self._look.start:
                        continue
                    until = pair.stop
                    if not pair.is_large:
                        continue
                    ended = self._run_by_batch(pair, folds, effect, seen)
                    del pair  # or its samples were held while the next ones are read
                    self._stop = self._stop.after(sum(seen), *folds)
                    if ended or self._stop.is_reached:
                        break
        return BatchPass((folds[0], folds[1]), effect, (seen[0], seen[1]), self._stop, notes, until)

    def _run_by_batch(
        self, pair: FoldPair, folds: Sequence[Recorder], effect: PredictionEffect, seen: list[int]
    ) -> bool:
        """Run both halves, each by its own statistics, and say whether another process has no more."""
        for fold, half in enumerate(pair.folds):
            if self._step is not None and not self._step.begins(half.size):
                if self._step.is_over:
                    return True
                continue
            if half.size > 1 or self._step is not None:
                output = self._run(half, self._by_batch, folds[fold])
                if not self._gaps_only:
                    effect.add_batch(output, half.targets)
                seen[fold] += half.size
        return False

    def further(self, seen: Observation) -> Observation:
        """What was seen, with another look: at samples that were run as shipped alone.

        Raises:
            DataError: as `look_further`.
        """
        batch = self._batch_pass()
        folds = seen.folds or batch.folds
        given = [Given(Recorder.merge(*both).statistics()) for both in zip(folds, batch.folds, strict=True)]
        effect, sliced = self._meter(), Sliced(self._source)
        for pair in self._folds.read("recalibrated statistics"):
            if pair.start >= batch.until:
                break
            if pair.start >= self._look.start:
                for fold in range(2):
                    for chunk in self._folds.chunks_of(pair, fold):
                        stored = self._run(chunk.batch, STORED, None)
                        sliced.again(effect, (stored, self._compare(effect, chunk, stored, given, fold)), chunk.batch)
                        del stored
                        del chunk
            del pair
        return seen.with_look(batch, effect, sliced.seen)

    def stored_pass(self, measured: BatchPass) -> StoredPass:
        """Moments as shipped, and in step with it the outputs under each other's statistics.

        Args:
            measured: what the batch pass collected, over all shards.

        Raises:
            DataError: the data cannot be read, or do not fit the model.
        """
        alone = not measured.is_complete
        sliced = Sliced(self._source)
        recorder = sliced.recorder(self._plan, errors=alone and self._stop.is_wanted)
        reservoir = Reservoir(self._plan.seed, self._fixed or 0, self._plan.memory)
        recalibrated = None if alone else [Given(fold.statistics()) for fold in measured.folds]
        effect, samples, labelled, bad, first, until = self._meter(), 0, False, 0, NO_SAMPLE, 0
        for pair in self._folds.read(STORED_STAGE):
            first = min(first, pair.start)
            for fold, half in enumerate(pair.folds):
                for chunk in self._folds.chunks_of(pair, fold):
                    batch = chunk.batch
                    sliced.begin(batch)
                    other = None
                    stored = self._run(batch, STORED, recorder.expect(batch.positions, chunk.start))
                    if not self._gaps_only:
                        reservoir.add(batch)
                        bad += not_finite(stored, self._plan.output)
                        if alone or pair.start < measured.until:
                            other = self._compare(effect, chunk, stored, recalibrated, fold)
                        sliced.answered(effect, (stored, other), batch)
                    del chunk, batch, stored
                labelled = labelled or half.targets is not None
                del half
            samples, until = samples + pair.size, max(until, pair.stop)
            del pair
            if alone:
                self._stop = self._stop.after(samples, recorder)
            if self._stop.was_reached(samples):
                break
        return StoredPass(
            stored=recorder.settled(),
            effect=effect,
            reservoir=reservoir,
            samples=samples,
            dropped=self._folds.dropped,
            labelled=labelled,
            stop=self._stop,
            not_finite=bad,
            session=SessionFacts.of(self._session, first),
            slices=sliced.seen,
            until=until,
            left_out=self._folds.left_out,
            order=self._folds.order,
        )

    @property
    def _noise_samples(self) -> int:
        """As many as `NOISE_SAMPLES`, and half of a look that is not at everything."""
        return NOISE_SAMPLES if self._look.stop is None else min(NOISE_SAMPLES, self._look.stop // 2)

    def _meter(self) -> PredictionEffect:
        return PredictionEffect(self._plan.output, self._plan.metric, self._plan.task)

    def _run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        try:
            return self._session.run(batch, policy, recorder)
        except MemoryLimitError:
            raise
        except UnfitError as error:
            raise UnfitError(f"{error.marked} {self._source.hint}".strip()) from error
        except Exception as error:
            if is_out_of_memory(error):  # while its layers were read
                raise beyond_memory("The model", batch.size) from error
            raise

    def _compare(
        self, effect: PredictionEffect, chunk: Chunk, stored: Any, recalibrated: Sequence[Given] | None, fold: int
    ) -> Any:
        """Those by the other fold's statistics, compared with those as shipped; of a few also those by the own's."""
        batch = chunk.batch
        if recalibrated is None:
            effect.add_stored(stored, batch.targets)
            return None
        other = self._run(batch, recalibrated[1 - fold], None)
        effect.add_recalibrated(stored, other, batch.targets)
        if chunk.start < self._noise_samples:
            effect.add_noise(other, self._run(batch, recalibrated[fold], None), batch.targets)
        return other
