"""What was seen of a shard, as plain values, and the observation that several shards come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from bncheck.data import ScreenedSource, Source
from bncheck.errors import UsageError
from bncheck.measure.observation import Observation, SessionFacts
from bncheck.measure.parts.problems import listed_parts
from bncheck.measure.processes.portions import Shard
from bncheck.measure.reservoir import Reservoir
from bncheck.measure.slices.seen import RememberedSlices, Slices, merged_slices
from bncheck.measure.stopping import StoppingRule
from bncheck.predictions import PredictionEffect, RememberedEffect, merged_effects
from bncheck.results import Note, ReadingEnded, SamplesNotFinite, TooFewForBatchPass
from bncheck.vocabulary import argument
from bncheck.watch import TABLE_BYTES, Recorder, RememberedRecorder

LEAST_ROOM, ROOM = 16 * 2**20, 2
"""Bytes of per-sample moments in a part, at the least; and how many times its share of what all keep together."""
_NAMED = 8
"""Samples that are named among those left out."""
_TOLD_ANEW = (ReadingEnded, SamplesNotFinite)
"""Kinds of notes that are of all shards together."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Seen:
    """What was seen of a shard; see `Observation` for what is not said here. No sample is among it.

    Attributes:
        bad: samples of the shard that were left out because they hold NaN or infinity.
        first_bad: the numbers of a few of these.
    """

    stored: RememberedRecorder
    folds: tuple[RememberedRecorder, RememberedRecorder] | None
    effect: RememberedEffect
    session: SessionFacts
    samples: int
    dropped: int
    bad: int
    first_bad: tuple[int, ...]
    not_finite: int
    labelled: bool
    compared: int | None
    stop: StoppingRule
    notes: tuple[Note, ...]
    slices: RememberedSlices | None

    @classmethod
    def of(cls, seen: Observation, source: Source, shard: Shard) -> Seen:
        """What is to be kept of it: moments of single samples as many as it takes, so that all shards have enough."""
        room = TABLE_BYTES if shard.count == 1 else min(TABLE_BYTES, max(ROOM * TABLE_BYTES // shard.count, LEAST_ROOM))
        bad, first_bad = _left_out(seen, source, shard)
        return cls(
            stored=seen.stored.settled(room).remembered(),
            folds=None if seen.folds is None else (seen.folds[0].remembered(), seen.folds[1].remembered()),
            effect=seen.effect.remembered(),
            session=seen.session,
            samples=seen.samples,
            dropped=seen.dropped,
            bad=bad,
            first_bad=first_bad,
            not_finite=seen.not_finite,
            labelled=seen.labelled,
            compared=seen.compared,
            stop=seen.stop,
            notes=tuple(note for note in seen.notes if not isinstance(note, _TOLD_ANEW)),
            slices=None if seen.slices is None else seen.slices.remembered(),
        )

    @property
    def was_compared(self) -> int:
        """Samples that were run by the batch and with recalibrated statistics too."""
        if self.folds is None:
            return 0
        return self.samples if self.compared is None else self.compared


def _left_out(seen: Observation, source: Source, shard: Shard) -> tuple[int, tuple[int, ...]]:
    """How many samples of the shard were left out, and a few of them; of what all shards read the first counts them."""
    if shard.apart and isinstance(source, ScreenedSource) and source.is_shared:
        return len(source.left_out_of_share), tuple(sorted(source.left_out_of_share)[:_NAMED])
    if shard.index > 0:
        return 0, ()
    return seen.bad, next((note.first for note in source.notes if isinstance(note, SamplesNotFinite)), ())


def observation_of(shards: Mapping[str, Seen], seed: int) -> Observation:
    """What all shards come to, as one process would have seen it; by the name of each.

    Raises:
        UsageError: they cannot be put together.
    """
    require_no_sample_twice(shards)
    all_seen = list(shards.values())
    complete = [seen for seen in all_seen if seen.folds is not None]
    stored = Recorder.merged([Recorder.of(seen.stored) for seen in all_seen])
    pairs = [seen.folds for seen in complete if seen.folds is not None]
    folds = None
    if pairs:
        one, other = (Recorder.merged([Recorder.of(pair[fold]) for pair in pairs]) for fold in range(2))
        folds = (one, other)
    samples, compared = sum(seen.samples for seen in all_seen), sum(seen.was_compared for seen in all_seen)
    stop = _stop(all_seen, folds, stored)
    return Observation(
        stored=stored,
        folds=folds,
        effect=_effect({name: seen for name, seen in shards.items() if not complete or seen.folds is not None}),
        reservoir=Reservoir(seed),
        samples=samples,
        dropped=sum(seen.dropped for seen in all_seen),
        bad=sum(seen.bad for seen in all_seen),
        not_finite=sum(seen.not_finite for seen in all_seen),
        labelled=any(seen.labelled for seen in all_seen),
        session=reduce(SessionFacts.merge, (seen.session for seen in all_seen)),
        notes=(*_notes(all_seen, compared=folds is not None), *stop.notes()),
        compared=compared if folds is not None and compared < samples else None,
        stop=stop,
        slices=reduce(merged_slices, (None if seen.slices is None else Slices.of(seen.slices) for seen in all_seen)),
    )


def _stop(shards: Sequence[Seen], folds: tuple[Recorder, Recorder] | None, stored: Recorder) -> StoppingRule:
    """How well the means are known of all shards together."""
    read = sum(seen.stop.read for seen in shards)
    return replace(shards[0].stop, shards=1).after(read, *(folds or (stored,)))


def _effect(shards: Mapping[str, Seen]) -> PredictionEffect:
    found = {name: PredictionEffect.of(seen.effect) for name, seen in shards.items()}
    try:
        return reduce(merged_effects, found.values())
    except ValueError as error:
        raise UsageError(
            f"{listed_parts(found)}: their labels were taken for different kinds of tasks. Write the parts anew with "
            f"{argument('task')}, which says what they are."
        ) from error


def _notes(shards: Sequence[Seen], *, compared: bool) -> tuple[Note, ...]:
    """What is to be known of any shard; that one of them was too small to compare is no news where others were not."""
    bad = sum(seen.bad for seen in shards)
    first = sorted(number for seen in shards for number in seen.first_bad)
    left_out = (SamplesNotFinite(bad, tuple(first[:_NAMED])),) if bad else ()
    notes = [note for seen in shards for note in seen.notes if not (compared and isinstance(note, TooFewForBatchPass))]
    return tuple(dict.fromkeys((*left_out, *notes)))


def require_no_sample_twice(shards: Mapping[str, Seen]) -> None:
    """Raise UsageError where two shards hold a sample both, among those that moments were kept of one by one."""
    held: dict[int, str] = {}
    for name, seen in shards.items():
        rows = next((call.rows for call in seen.stored.calls if call.rows is not None), None)
        for key in np.unique(rows.keys).tolist() if rows is not None else []:
            if held.setdefault(key, name) != name:
                raise UsageError(
                    f"{held[key]} and {name} both hold the same sample: it would count twice. Their data were not read "
                    "in the same order; see which of the two was written from which data."
                )
