"""The statistics that recalibrating stores where no batch can be normalized by itself: one layer after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bncheck.core import NEAR_MARGIN, NormLayer, compare, rms
from bncheck.data import Batch
from bncheck.measure import SMALL_BATCH, Folds, StoppingRule
from bncheck.watch import STORED, Given, Recorder, Session, Statistics

SETTLED = 0.005
"""Gap of every layer from what it is given at which it is not measured again."""

Known = dict[str, Statistics]


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What reading the data several times shows.

    Attributes:
        folds: moments in every layer of each cross-fitting fold, those before it normalizing by such.
        samples: that were read each time.
        stop: how well the means are known.
        number: how often the data were read.
    """

    folds: tuple[Recorder, Recorder]
    samples: int
    stop: StoppingRule
    number: int


def read_one_by_one(session: Session, folds: Folds, stop: StoppingRule) -> Readings:
    """Measure layers whose samples run in batches too small to normalize by.

    What a layer sees of all samples, pooled, is well defined once the layers before it normalize by what they see. So
    the data are read again and again: each time every layer is given what it saw, up to the first that was far off;
    what those behind it saw will change. A reading in which hardly anything differs from what was given is the last.

    Args:
        session: the model, watched.
        folds: the data.
        stop: when a reading has samples enough; the later ones read as many as the first.
    """
    given: tuple[Known, Known] = ({}, {})
    most, number, samples = math.inf, 0, 0
    while True:
        number += 1
        seen = (Recorder(per_sample=False, errors=True), Recorder(per_sample=False, errors=True))
        samples, checked = 0, 0
        for parts in _in_step(folds):
            for recorder, known, part in zip(seen, given, parts, strict=True):
                for batch in folds.chunks(part):
                    session.run(batch, Given(dict(known)) if known else STORED, recorder)
                    samples += batch.size
            if number == 1 and samples - checked >= SMALL_BATCH:
                stop, checked = stop.after(samples, *seen), samples
            if samples >= most or (number == 1 and stop.is_reached):
                break
        most = samples
        left = max(_give(recorder, known) for recorder, known in zip(seen, given, strict=True))
        if left <= SETTLED or number > 2 * len(seen[0].by_layer()) + 2:
            return Readings(seen, samples, replace(stop, read=samples), number)


def _in_step(folds: Folds) -> Iterator[tuple[Batch, Batch]]:
    return folds.pairs("measuring statistics, one layer after the other")


def _give(seen: Recorder, known: Known) -> float:
    """Give each layer what it saw, up to the first that was far off; tell the largest gap from what it was given."""
    largest = 0.0
    found = seen.statistics()
    for name, entries in seen.by_layer().items():
        layer = entries[0].layer
        gap = _gap(found[name], known.get(name), layer)
        known[name] = found[name]
        largest = max(largest, gap if math.isfinite(gap) else math.inf)
        if not gap <= NEAR_MARGIN:
            break
    return largest


def _gap(found: Statistics, given: Statistics | None, layer: NormLayer) -> float:
    """The gap from what the layer was given, or stores; NaN where it stores nothing."""
    mean, var = (given.mean, given.var) if given is not None else (layer.mean, layer.var)
    if mean is None or var is None:
        return math.nan
    return rms(compare(found.mean, found.var, mean, var, layer.eps or 0.0).gap)
