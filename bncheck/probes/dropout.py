"""Dropout before a norm: in training it adds variance that inference does not see (Li et al. 2018)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from bncheck.core import compare, rms
from bncheck.data.batches import Batch
from bncheck.evidence import DropoutGap
from bncheck.formats.programs.instrument import Instrument
from bncheck.measure.layers import stored_statistics
from bncheck.watch.policies import STORED, Statistics
from bncheck.watch.recorder import Recorder

REPETITIONS = 2
"""Runs with dropout on: each draws other masks."""


def dropout_gaps(watched: Instrument, batches: Sequence[Batch]) -> dict[str, DropoutGap]:
    """Each layer's gap on these samples with dropout off and on; the model is left in eval mode as it was."""
    off = _gaps(watched, batches)
    with _switched_on(watched.dropouts):
        on = _gaps(watched, [batch for _ in range(REPETITIONS) for batch in batches])
    return {name: DropoutGap(gap, on[name]) for name, gap in off.items() if name in on}


@contextlib.contextmanager
def _switched_on(modules: Sequence[nn.Module]) -> Iterator[None]:
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.train()
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.train(training)


def _gaps(watched: Instrument, batches: Sequence[Batch]) -> dict[str, float]:
    recorder = Recorder(apart=False)
    for batch in batches:
        watched.run(batch, STORED, recorder)
    layers = {name: entries[0].layer for name, entries in recorder.by_layer().items()}
    found: dict[str, Statistics] = recorder.statistics()
    gaps = {}
    for name, layer in layers.items():
        mean, var, eps = stored_statistics(layer)
        gap = rms(compare(found[name].mean, found[name].var, mean, var, eps).gap)
        if np.isfinite(gap):
            gaps[name] = gap
    return gaps
