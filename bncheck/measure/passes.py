"""The passes over the data: batch statistics first, then the model as shipped beside its recalibrated self.

Every batch is read as two halves, one for each fold. The batch pass measures each fold's statistics with
all layers normalizing by the batch. The stored pass then runs each half as shipped and, in step with it,
by the statistics of the *other* fold, so outputs are compared on the spot and nothing is promised that
was fitted on the data it is judged by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bncheck.core.layers import NormLayer
from bncheck.data.batches import Batch, Source
from bncheck.errors import DataError, UnfitError
from bncheck.evidence import RuntimeCheck
from bncheck.evidence.probed import AffineMap, Probed
from bncheck.formats.model import Model
from bncheck.formats.programs.instrument import Instrument, instrument
from bncheck.formats.programs.precision import coarsest_precision
from bncheck.formats.programs.running import Progress
from bncheck.measure.reading import LARGE_BATCH, SMALL_BATCH, Halves
from bncheck.measure.reservoir import Kept
from bncheck.measure.stopping import Enough
from bncheck.predictions.effect import Metric, PredictionEffect
from bncheck.probes.runner import Seen, run_probes
from bncheck.watch.policies import BATCH, STORED, Given
from bncheck.watch.recorder import Recorder

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
        normalization: what the user had done to the data by --mean and --std, which may be what is wrong with them.
        large_batch: samples that normalize together in the batch pass, at the most.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
    """

    batch_size: int = 64
    limit: int | None = None
    seed: int = 0
    output: str | None = None
    metric: Metric | None = None
    normalization: AffineMap | None = None
    large_batch: int = LARGE_BATCH
    until: float = 0.0

    def halves(self, source: Source, fixed: int | None, progress: Progress) -> Halves:
        """The data in pairs of half batches; `fixed` is the only batch size the model takes."""
        return Halves(
            source,
            fixed=fixed,
            batch_size=self.batch_size,
            limit=self.limit,
            seed=self.seed,
            progress=progress,
            large_batch=self.large_batch,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What the passes saw.

    Attributes:
        stored: moments of every call as shipped, samples apart.
        folds: moments of every call under batch statistics, for each half of the data; `None` where there
            was no batch pass.
        effect: comparisons of outputs.
        runtime: how the runtime's normalization of a few samples compares with float64, call by call.
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
    effect: PredictionEffect
    runtime: tuple[RuntimeCheck, ...]
    probed: Probed
    samples: int
    dropped: int
    labelled: bool
    fixed_batch: int | None
    found: Mapping[str, NormLayer]
    unsupported: frozenset[str]
    notes: tuple[str, ...]


def observe(
    model: Model,
    source: Source,
    plan: Plan,
    progress: Progress,
    training: Source | None = None,
    *,
    gaps_only: bool = False,
) -> Observation:
    """Run `model` on `source` and collect everything the diagnosis needs; `training` is asked by probes only.

    With `gaps_only` no outputs are compared and no probe is put, which takes two forwards of every sample.

    Raises:
        DataError: the data are empty, cannot be read, or do not fit the model.
    """
    for note in source.notes:
        progress(note, 0, None)
    with instrument(model, source.name, plan.seed) as watched:
        passes = _Passes(source, plan, progress, watched, gaps_only)
        try:
            folds = passes.batch_pass()
            stored = passes.stored_pass(folds)
        except UnfitError as error:
            raise UnfitError(f"{error} {source.hint}".strip()) from error
        if gaps_only:
            probed = Probed()
        else:
            probed = run_probes(watched, replace(passes.seen(stored, coarsest_precision(model)), training=training))
    return Observation(
        stored=stored,
        folds=folds,
        effect=passes.effect,
        runtime=tuple(watched.runtime),
        probed=probed,
        samples=passes.samples,
        dropped=passes.dropped,
        labelled=passes.labelled,
        fixed_batch=watched.fixed_batch,
        found=watched.found,
        unsupported=frozenset(watched.unsupported),
        notes=(*source.notes, *watched.notes, *passes.notes, *passes.enough.notes()),
    )


class _Passes:
    """The two passes over one source."""

    def __init__(self, source: Source, plan: Plan, progress: Progress, watched: Instrument, gaps_only: bool) -> None:
        self.source = source
        self.plan = plan
        self.watched = watched
        self.gaps_only = gaps_only
        self.effect = PredictionEffect(plan.output, plan.metric)
        self.kept = Kept()
        self.samples = 0
        self.enough = Enough(plan.until, source)
        self.labelled = False
        self.notes: list[str] = []
        self.fixed = watched.fixed_batch
        self.halves = plan.halves(source, self.fixed, progress)

    @property
    def dropped(self) -> int:
        """Samples that a fixed batch size could not take."""
        return self.halves.dropped

    def batch_pass(self) -> tuple[Recorder, Recorder] | None:
        """Moments of each fold while every layer normalizes by its batch."""
        if self.fixed is not None and self.fixed < SMALL_BATCH:
            self.notes.append(
                f"no batch pass: the program takes batches of exactly {self.fixed}, too few to "
                "normalize by; export it with a dynamic batch dimension for own gaps and effect"
            )
            return None
        errors = self.enough.wanted
        folds = (Recorder(apart=False, errors=errors), Recorder(apart=False, errors=errors))
        seen = [0, 0]
        for halves in self.halves.large_enough("batch statistics"):
            for fold, half in enumerate(halves):
                if half.size > 1:
                    output = self.watched.run(half, BATCH, folds[fold])
                    if not self.gaps_only:
                        self.effect.add_batch(output, half.labels)
                    seen[fold] += half.size
            if self.enough.is_reached(sum(seen), *folds):
                break
        if min(seen) == 0:
            self.notes.append("no batch pass: it needs four samples at the least")
            return None
        return folds

    def stored_pass(self, folds: tuple[Recorder, Recorder] | None) -> Recorder:
        """Moments as shipped, and in step with it the outputs under each other's statistics."""
        recorder = Recorder(apart=True, errors=folds is None and self.enough.wanted)
        recalibrated = None if folds is None else [Given(fold.statistics()) for fold in folds]
        for halves in self.halves.pairs("stored statistics"):
            for fold, half in enumerate(halves):
                for chunk in self.halves.chunks(half):
                    self.labelled = self.labelled or chunk.labels is not None
                    stored = self.watched.run(chunk, STORED, recorder)
                    if not self.gaps_only:
                        self.kept.add(chunk)
                        self._compare(chunk, stored, recalibrated, fold)
                    self.samples += chunk.size
            if self.enough.was_reached(self.samples) or (
                folds is None and self.enough.is_reached(self.samples, recorder)
            ):
                break
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
            normalization=self.plan.normalization,
            batch_size=self.plan.batch_size,
            seed=self.plan.seed,
        )

    def _compare(self, chunk: Batch, stored: Any, recalibrated: list[Given] | None, fold: int) -> None:
        """Outputs as shipped with those by the other fold's statistics, and of a few samples by the own fold's."""
        if recalibrated is None:
            self.effect.add_stored(stored, chunk.labels)
            return
        other = self.watched.run(chunk, recalibrated[1 - fold], None)
        self.effect.add_recalibrated(stored, other, chunk.labels)
        if self.samples < NOISE_SAMPLES:
            self.effect.add_noise(other, self.watched.run(chunk, recalibrated[fold], None), chunk.labels)
