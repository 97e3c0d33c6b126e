"""The training sampling beside the stored statistics: for which the training data are read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bncheck.core import BATCH_NORM, compare, rms
from bncheck.data import Source
from bncheck.evidence import MeasuredLayer, TrainingEvidence
from bncheck.formats import Backend
from bncheck.measure.collect import detectable
from bncheck.measure.layers import measured_layer
from bncheck.measure.order import NEIGHBOURS, Reading, SeenBatch, compare_batches, read_in_order, records_of
from bncheck.measure.plan import TRAINING_STAGE, Plan
from bncheck.progress import Progress
from bncheck.watch import CallMoments, CountedSession, Ledger, together

SAMPLES = 4096
"""About as many are run: more would not tell more."""
FEWEST_BATCHES, MOST_BATCHES = 16, 256
READ_AT_MOST = 65_536
"""Samples read of a loader, from which those that are run are spread out."""


def observe_training(
    model: Backend, source: Source, plan: Plan, progress: Progress, ledger: Ledger | None = None
) -> TrainingEvidence:
    """Run `model` as shipped on batches spread over the training source's own order.

    Batches, not samples, are the unit of every error here: what shares a batch may be alike.

    Raises:
        DataError: the data are empty, cannot be read, or do not fit the model.
    """
    ledger = ledger or Ledger()
    with model.session(source.name, plan.seed) as session, ledger.stage(TRAINING_STAGE):
        seen = read_in_order(CountedSession(session, ledger), source, _reading(source, plan), progress)
    size = Counter(batch.size for batch in seen).most_common(1)[0][0]
    batch_size = size if source.own_batches else plan.batch_size
    records = records_of(seen)
    hidden = model.hidden_channels()
    # A row is a batch, so a moving average of that many batches is one of that many rows.
    rows_in_a_batch = batch_size / size
    measured = {
        name: measured_layer(entries, None, len(seen), hidden.get(name), rows_in_a_batch)
        for name, entries in records.items()
    }
    return TrainingEvidence(
        source=source.name,
        samples=sum(batch.size for batch in seen),
        batch_size=batch_size,
        own_batches=source.own_batches,
        measured=measured,
        order=compare_batches(seen, plan.seed),
        values=_values(seen, batch_size),
        noise=_noise(records, measured, size / batch_size),
        smallest_detectable_gap=detectable(measured, len(seen))[0],
    )


def _reading(source: Source, plan: Plan) -> Reading:
    """As many batches as make up the samples wanted, by the size they have."""
    size = NEIGHBOURS
    if source.own_batches:
        first = next(source.given_batches(NEIGHBOURS), None)
        size = first.size if first is not None else NEIGHBOURS
    samples = SAMPLES if plan.limit is None else min(SAMPLES, plan.limit)
    most = min(max(samples // size, FEWEST_BATCHES), MOST_BATCHES)
    read = READ_AT_MOST if plan.limit is None else 16 * plan.limit
    return Reading(most, read, TRAINING_STAGE, plan.memory.moments)


def _values(seen: Sequence[SeenBatch], batch_size: int) -> dict[str, int]:
    """Values per channel that each batch norm normalizes together at one call, at `batch_size`."""
    values: dict[str, int] = {}
    for batch in seen:
        for site, (layer, row) in batch.rows.items():
            if layer.kind == BATCH_NORM:
                per_sample = float(row.count[0]) / batch.size
                values[site.layer] = min(values.get(site.layer, 2**62), round(per_sample * batch_size))
    return values


def _noise(
    records: Mapping[str, Sequence[CallMoments]], measured: Mapping[str, MeasuredLayer], share: float
) -> dict[str, float]:
    """How far one batch's statistics lie from all batches', by layer; `share` brings it to the size in use."""
    noise = {}
    for name, entries in records.items():
        layer = measured[name]
        table = together(entries).table()
        if layer.layer.kind != BATCH_NORM or table is None or len(table) < 2:
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            found = compare(table.mean, table.m2 / table.count[:, None], layer.mean, layer.var, layer.layer.eps or 0.0)
        noise[name] = rms(found.gap[:, layer.visible]) * math.sqrt(share)
    return {name: value for name, value in noise.items() if math.isfinite(value)}
