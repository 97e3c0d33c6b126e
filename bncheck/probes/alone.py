"""One layer at a time: which are fed by the input alone, and how far each moves the outputs by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bncheck.data.batches import Batch
from bncheck.formats.programs.instrument import Instrument
from bncheck.predictions.effect import PredictionEffect
from bncheck.watch.policies import BATCH, STORED, Given, Policy, Statistics
from bncheck.watch.recorder import Recorder

SAME = 1e-3
"""Standard deviations (and relative differences of them) that rounding stays below, and a norm before does not."""


def fed_by_input(watched: Instrument, batches: Sequence[Batch]) -> frozenset[str]:
    """Layers that see the same whatever the other layers normalize by: none of them comes before."""
    shipped, by_batch = (_statistics(watched, batches, policy) for policy in (STORED, BATCH))
    return frozenset(name for name, seen in shipped.items() if name in by_batch and _same(seen, by_batch[name]))


def moved_alone(
    watched: Instrument,
    batches: Sequence[Batch],
    measured: Mapping[str, Statistics],
    layers: Iterable[str],
    output: str | None,
) -> dict[str, float]:
    """Relative L2 change of the outputs where that layer alone normalizes by its measured statistics.

    Args:
        watched: the model's instrument.
        batches: to run.
        measured: what each layer saw as shipped.
        layers: to ask about.
        output: which output is the prediction.
    """
    shipped = [watched.run(batch, STORED, None) for batch in batches]
    moved = {}
    for name in layers:
        if name in measured:
            policy = Given({name: measured[name]})
            meter = PredictionEffect(output, None)
            for batch, before in zip(batches, shipped, strict=True):
                meter.add_recalibrated(before, watched.run(batch, policy, None), None)
            effect = meter.result()
            change = None if effect is None else effect.output_change
            if change is not None and np.isfinite(change):
                moved[name] = change
    return moved


def _statistics(watched: Instrument, batches: Sequence[Batch], policy: Policy) -> dict[str, Statistics]:
    recorder = Recorder(apart=False)
    for batch in batches:
        watched.run(batch, policy, recorder)
    return recorder.statistics()


def _same(one: Statistics, other: Statistics) -> bool:
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(one.var)
        shift = np.abs(one.mean - other.mean) <= SAME * (spread + 1e-12)
        scale = np.abs(spread - np.sqrt(other.var)) <= SAME * (spread + 1e-12)
    return bool((shift & scale).all())
