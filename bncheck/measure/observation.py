"""What the passes collect: values that merge, so that shards of the data may be read by several processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bncheck.core import NormLayer
from bncheck.data import ScreenedSource, Source, all_left_out
from bncheck.errors import DataError
from bncheck.evidence import RuntimeCheck
from bncheck.measure.reservoir import Reservoir
from bncheck.measure.slices.seen import Slices, merged_slices
from bncheck.measure.stopping import StoppingRule
from bncheck.predictions import PredictionEffect, merged_effects
from bncheck.results import Note, TooFewForBatchPass
from bncheck.watch import Recorder, Session

NO_SAMPLE = 2**63 - 1
"""The number of the first sample where there is none."""

Recorders = tuple[Recorder, Recorder]


@dataclass(frozen=True, slots=True, eq=False)
class BatchPass:
    """What the batch pass collects.

    Attributes:
        folds: moments of every call under batch statistics, for each half of the data.
        effect: the outputs under batch statistics.
        samples: run of each half.
        stop: how well the means are known.
        notes: what could not be measured, and why.
        until: number of the first sample after those looked at, counting those left out.
    """

    folds: Recorders
    effect: PredictionEffect
    samples: tuple[int, int]
    stop: StoppingRule
    notes: tuple[Note, ...] = ()
    until: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether there is something of both folds."""
        return min(self.samples) > 0

    def merge(self, other: BatchPass) -> BatchPass:
        """What one pass over the samples of both would have collected."""
        folds = self.folds[0].merge(other.folds[0]), self.folds[1].merge(other.folds[1])
        return BatchPass(
            folds=folds,
            effect=merged_effects(self.effect, other.effect),
            samples=(self.samples[0] + other.samples[0], self.samples[1] + other.samples[1]),
            stop=self.stop.merge(other.stop, *folds),
            notes=_each_once(self.notes, other.notes),
            until=max(self.until, other.until),
        )


@dataclass(frozen=True, slots=True, eq=False)
class StoredPass:
    """What the stored pass collects.

    Attributes:
        stored: moments of every call as shipped, per sample too.
        effect: comparisons of outputs.
        reservoir: samples for probes to run again.
        samples: samples read.
        dropped: samples left over that a fixed batch size could not take.
        labelled: whether they had labels.
        stop: how well the means are known, where there was no batch pass to say so.
        not_finite: samples whose outputs are not finite.
        session: what the session found out about the model.
        slices: moments and outputs by slice; `None` where nobody has asked.
        until: number of the first sample after those read.
        left_out: numbers of the samples of the share that were left out because they hold NaN or infinity.
        order: what tells the order that was shared out from another; `None` where all was read, or nothing.
    """

    stored: Recorder
    effect: PredictionEffect
    reservoir: Reservoir
    samples: int
    dropped: int
    labelled: bool
    stop: StoppingRule
    not_finite: int
    session: SessionFacts
    slices: Slices | None = None
    until: int = 0
    left_out: tuple[int, ...] = ()
    order: int | None = None

    def merge(self, other: StoredPass) -> StoredPass:
        """What one pass over the samples of both would have collected.

        Raises:
            DataError: they shared out different orders of the samples, so that some were read twice and some never.
        """
        if None not in (self.order, other.order) and self.order != other.order:
            raise DataError(
                "The loader draws another order of its samples in each process, so that some would count twice and "
                "some never. Seed it alike in all of them, or have the callable take rank and world_size."
            )
        stored = self.stored.merge(other.stored)
        return StoredPass(
            stored=stored,
            effect=merged_effects(self.effect, other.effect),
            reservoir=self.reservoir.merge(other.reservoir),
            samples=self.samples + other.samples,
            dropped=self.dropped + other.dropped,
            labelled=self.labelled or other.labelled,
            stop=self.stop.merge(other.stop, stored),
            not_finite=self.not_finite + other.not_finite,
            session=self.session.merge(other.session),
            slices=merged_slices(self.slices, other.slices),
            until=max(self.until, other.until),
            left_out=(*self.left_out, *other.left_out),
            order=other.order if self.order is None else self.order,
        )


@dataclass(frozen=True, slots=True, eq=False)
class SessionFacts:
    """What a session found out about the model while it ran.

    Attributes:
        fixed_batch: the only batch size that could be run; `None` where any could.
        runtime: how the runtime's normalization of a few samples compares with float64, call by call.
        first: number of the first of these samples in the reading.
        found: layers without stored statistics that only running the model revealed, by name.
        unsupported: layers that turned out not to normalize by what they store.
        notes: what was changed to make the model run.
    """

    fixed_batch: int | None
    runtime: tuple[RuntimeCheck, ...]
    first: int
    found: Mapping[str, NormLayer]
    unsupported: frozenset[str]
    notes: tuple[Note, ...]

    @classmethod
    def of(cls, session: Session, first: int) -> SessionFacts:
        """What a session has found out by now."""
        return cls(
            fixed_batch=session.fixed_batch,
            runtime=tuple(session.runtime),
            first=first,
            found=dict(session.found),
            unsupported=frozenset(session.unsupported),
            notes=tuple(session.notes),
        )

    def merge(self, other: SessionFacts) -> SessionFacts:
        """What both found out; the runtime is judged on the samples that come first."""
        earlier = min(self, other, key=lambda one: one.first)
        return SessionFacts(
            fixed_batch=self.fixed_batch,
            runtime=earlier.runtime,
            first=earlier.first,
            found={**self.found, **other.found},
            unsupported=self.unsupported | other.unsupported,
            notes=_each_once(self.notes, other.notes),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What the passes saw, of all shards together.

    Attributes:
        stored: moments of every call as shipped, per sample too.
        folds: moments of every call under batch statistics, for each half of the data; `None` where there
            was no batch pass.
        effect: comparisons of outputs.
        reservoir: samples for probes to run again.
        samples: samples read.
        dropped: samples left over that a fixed batch size could not take.
        bad: samples left out because they hold NaN or infinity.
        not_finite: samples whose outputs are not finite.
        labelled: whether they had labels.
        session: what the session found out about the model.
        notes: what could not be measured, and why.
        compared: samples run by the batch and with recalibrated statistics too, the first of them; `None`: all.
        stop: how well the means are known.
        slices: moments and outputs by slice; `None` where nobody has asked.
    """

    stored: Recorder
    folds: Recorders | None
    effect: PredictionEffect
    reservoir: Reservoir
    samples: int
    dropped: int
    bad: int
    not_finite: int
    labelled: bool
    session: SessionFacts
    notes: tuple[Note, ...]
    compared: int | None = None
    stop: StoppingRule = field(default_factory=StoppingRule)
    slices: Slices | None = None

    @classmethod
    def of(cls, batch: BatchPass, stored: StoredPass, source: Source) -> Observation:
        """What both passes over `source` saw, each merged over its shards.

        Raises:
            DataError: there was no sample.
        """
        if isinstance(source, ScreenedSource):
            source.take_in(stored.left_out)
        seen = cls.of_shard(batch, stored, source)
        seen.require_samples(source.name)
        compared = batch.until if batch.is_complete and batch.until < stored.until else None
        return replace(seen, compared=compared)

    @classmethod
    def of_shard(cls, batch: BatchPass, stored: StoredPass, source: Source) -> Observation:
        """The same of one shard, which goes by what it saw itself, and may have no sample."""
        stop = batch.stop if batch.is_complete else stored.stop
        lacking = () if batch.is_complete or batch.notes else (TooFewForBatchPass(),)
        return cls(
            stored=stored.stored,
            folds=batch.folds if batch.is_complete else None,
            effect=merged_effects(batch.effect, stored.effect),
            reservoir=stored.reservoir,
            samples=stored.samples,
            dropped=stored.dropped,
            bad=source.left_out if isinstance(source, ScreenedSource) else 0,
            not_finite=stored.not_finite,
            labelled=stored.labelled,
            session=stored.session,
            notes=(
                *source.notes,
                *stored.session.notes,
                *batch.notes,
                *lacking,
                *stored.reservoir.notes(),
                *stop.notes(),
            ),
            compared=sum(batch.samples) if batch.is_complete and sum(batch.samples) < stored.samples else None,
            stop=stop,
            slices=stored.slices,
        )

    def require_samples(self, name: str) -> None:
        """Raise DataError where there was no sample in the data of that name."""
        if self.samples == 0 and self.bad and not self.dropped:
            raise all_left_out(name, self.bad)
        if self.samples == 0:
            fixed = self.session.fixed_batch
            sizes = f" in whole batches of {fixed}, the only size the model takes" if self.dropped else ""
            raise DataError(f"{name} gave no samples{sizes}.")

    def with_look(self, batch: BatchPass, effect: PredictionEffect, slices: Slices | None = None) -> Observation:
        """The same after another look, at the samples that follow those compared so far."""
        folds = batch.folds if self.folds is None else tuple(map(Recorder.merge, self.folds, batch.folds))
        return replace(
            self,
            folds=(folds[0], folds[1]),
            effect=merged_effects(merged_effects(self.effect, batch.effect), effect),
            compared=batch.until if (self.compared or 0) < batch.until < self.samples else None,
            slices=merged_slices(self.slices, slices),
        )


def _each_once(one: tuple[Note, ...], other: tuple[Note, ...]) -> tuple[Note, ...]:
    return tuple(dict.fromkeys((*one, *other)))
