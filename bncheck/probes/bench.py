"""Where probes run their samples: in batches the model takes, with the gaps that show on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bncheck.core import compare, rms
from bncheck.data.batches import Batch
from bncheck.evidence.probed import Paired, Trial
from bncheck.formats.programs.instrument import Instrument
from bncheck.predictions.change import relative_change
from bncheck.probes.answers import Answers, Reader, changed, gain
from bncheck.probes.input.inputs import floating_input
from bncheck.watch.policies import BATCH, STORED, Policy
from bncheck.watch.recorder import Recorder, SiteRecord, together
from bncheck.watch.sites import Site

TRACING = 16
"""Samples that show which layers are fed by the input alone."""
SMALL_INPUT, FEWEST = 3 * 64 * 64, 8
"""Values of a sample beyond which fewer samples are screened, since each says more and costs more; down to so many."""
SAME = 1e-4
"""Gap between what a layer is fed in two runs that rounding does not reach."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Answers to some samples, and what the layers were fed meanwhile."""

    answers: Answers | None
    recorder: Recorder

    def gap(self, names: Sequence[str] | None = None) -> float:
        """RMS gap of the named layers, of all without names."""
        return recorded_gap(self.recorder, names)

    def sites(self, names: Sequence[str]) -> frozenset[Site]:
        """The calls of the named layers."""
        return frozenset(site for site in self.recorder.sites if site.layer in names)


class Bench:
    """Runs samples through a watched model.

    Args:
        watched: the model under its instrument.
        reader: reads its outputs.
        batch_size: samples in a forward; a fixed batch size goes before.
    """

    def __init__(self, watched: Instrument, reader: Reader, batch_size: int) -> None:
        self.fixed = watched.fixed_batch
        self.read = reader
        self._watched = watched
        self._size = self.fixed or batch_size

    def whole(self, samples: Batch, most: int | None = None) -> Batch:
        """The first samples, as many as fill whole batches where their size is fixed."""
        number = samples.size if most is None else min(most, samples.size)
        return samples.between(0, number if self.fixed is None else number // self.fixed * self.fixed)

    def screened(self, samples: Batch, most: int) -> Batch:
        """The first samples, as many as it takes to rank changes of the input by the gap they leave."""
        x = floating_input(samples)
        size = SMALL_INPUT if x is None else x[0].numel()
        number = min(most, max(FEWEST, most * SMALL_INPUT // max(size, 1)))
        return self.whole(samples, max(number, self.fixed or 0))

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None = None) -> Any:
        """One forward."""
        return self._watched.run(batch, policy, recorder)

    def stored(self, samples: Batch, policy: Policy = STORED) -> Watched:
        """Samples as the model is shipped, or as another policy has it, with the gaps from what it stores."""
        recorder = Recorder(apart=False)
        outputs = [self.run(chunk, policy, recorder) for chunk in self._chunks(samples)]
        return Watched(self.read(outputs, samples.labels), recorder)

    def look(self, samples: Batch, sites: Collection[Site]) -> Watched:
        """What those calls see of samples as the model is shipped: forwards end there, so there are no answers."""
        recorder = Recorder(apart=False)
        for chunk in self._chunks(samples):
            self._watched.look(chunk, recorder, sites)
        return Watched(None, recorder)

    def _chunks(self, samples: Batch) -> Iterator[Batch]:
        return samples.split(self._size)

    def answers(self, batches: Iterable[Batch], policy: Policy) -> Answers | None:
        """Answers to `batches`, each run by itself, one after the other."""
        outputs, labels = [], []
        for batch in batches:
            outputs.append(self.run(batch, policy))
            labels.append(batch.labels)
        known = [one for one in labels if one is not None]
        return self.read(outputs, _joined(known) if len(known) == len(labels) else None)

    def fed_by_input(self, samples: Batch) -> tuple[str, ...]:
        """Layers with no other before them: they see the same whatever the others normalize by."""
        few = self.whole(samples, max(TRACING, self.fixed or 0))
        seen = []
        for policy in (STORED, BATCH):
            recorder = Recorder(apart=False)
            for chunk in self._chunks(few):
                self.run(chunk, policy, recorder)
            seen.append(recorder.by_layer())
        as_shipped, by_batch = seen
        return tuple(name for name in as_shipped if name in by_batch and _same(as_shipped[name], by_batch[name]))


def paired(layers: tuple[str, ...], samples: int, before: Watched, after: Watched) -> Paired | None:
    """The comparison of two runs over the same samples; `None` where the outputs cannot be read."""
    if before.answers is None or after.answers is None:
        return None
    won, error = gain(before.answers, after.answers)
    return Paired(
        layers=layers,
        samples=samples,
        before=_trial(layers, before, before.answers),
        after=_trial(layers, after, after.answers),
        gain=won,
        gain_error=error,
        predictions_changed=changed(before.answers, after.answers),
        output_change=relative_change(before.answers.scores, after.answers.scores),
    )


def recorded_gap(recorder: Recorder, names: Sequence[str] | None = None) -> float:
    """RMS gap of the named layers over what was recorded, of all layers without names."""
    layers = recorder.by_layer()
    return rms([_layer_gap(layers[name]) for name in (layers if names is None else names) if name in layers])


def _layer_gap(entries: list[SiteRecord]) -> float:
    """RMS over channels of sqrt(d^2 + (r - 1)^2): unlike the gap, it does not forgive an input that has vanished."""
    whole = together(entries)
    found, layer = whole.statistics(), whole.layer
    if layer.mean is None or layer.var is None:
        raise ValueError(f"{layer.name} has no stored statistics")
    apart = compare(found.mean, found.var, layer.mean, layer.var, layer.eps or 0.0)
    return rms(np.hypot(apart.shift, apart.scale - 1))


def _trial(layers: tuple[str, ...], seen: Watched, answers: Answers) -> Trial:
    return Trial(seen.gap(layers), seen.gap(), answers.accuracy, answers.information)


def _same(one: list[SiteRecord], other: list[SiteRecord]) -> bool:
    a, b = together(one), together(other)
    eps = a.layer.eps or float(np.finfo(np.float32).eps)
    gap = compare(b.moments.mean, b.moments.variance, a.moments.mean, a.moments.variance, eps).gap
    return rms(gap) < SAME


def _joined(labels: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(labels))
