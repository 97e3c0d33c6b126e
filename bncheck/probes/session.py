"""Where probes run their samples: in batches the model takes, counted, with the gaps that show on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bncheck.core import compare, rms
from bncheck.data import Batch, joined
from bncheck.evidence import Condition, Paired, TaskEffect
from bncheck.measure import stored_statistics
from bncheck.probes.answers import Answers, Reader, change, gain
from bncheck.probes.input.inputs import floating_input
from bncheck.watch import STORED, CallMoments, Policy, Recorder, Session, Site, together

SMALL_INPUT, FEWEST = 3 * 64 * 64, 8
"""Values of a sample beyond which fewer samples are screened, since each says more and costs more; down to so many."""


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


class ProbeSession:
    """Runs the samples of one question through a watched model.

    Args:
        session: the model, watched.
        reader: reads its outputs.
        batch_size: samples in a forward; a fixed batch size goes before.
        told: called with how many samples have been run.

    Attributes:
        fixed_batch: the only batch size the model takes, `None` where any goes.
        read: reads outputs.
        samples_run: samples that have been run for the question.
    """

    def __init__(
        self, session: Session, reader: Reader, batch_size: int, told: Callable[[int], None] = lambda done: None
    ) -> None:
        self.fixed_batch = session.fixed_batch
        self.read = reader
        self.samples_run = 0
        self.session = session
        self._size = self.fixed_batch or batch_size
        self._told = told

    def batches(self, samples: Batch | None) -> list[Batch]:
        """The samples in batches as the passes run them; none where there are no samples."""
        return [] if samples is None else list(samples.split(self._size))

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None = None) -> Any:
        """One forward."""
        output = self.session.run(batch, policy, recorder)
        self._count(batch)
        return output

    def stored(self, samples: Batch, policy: Policy = STORED) -> Watched:
        """Samples as the model is shipped, or as another policy has it, with the gaps from what it stores."""
        recorder = Recorder(per_sample=False)
        outputs = [self.run(chunk, policy, recorder) for chunk in self.batches(samples)]
        return Watched(self.read(outputs, samples.targets), recorder)

    def task_of(self, before: Answers, after: Answers) -> TaskEffect | None:
        """How well the task is done by answers to the same samples."""
        return self.read.compared(before, after, self._size)

    def look(self, samples: Batch, sites: Collection[Site]) -> Watched:
        """What those calls see of samples as the model is shipped: forwards end there, so there are no answers."""
        recorder = Recorder(per_sample=False)
        for chunk in self.batches(samples):
            self.session.look(chunk, recorder, sites)
            self._count(chunk)
        return Watched(None, recorder)

    def recorded(self, batches: Iterable[Batch], policy: Policy) -> Recorder:
        """What the layers are fed while they normalize by that policy."""
        recorder = Recorder(per_sample=False)
        for batch in batches:
            self.run(batch, policy, recorder)
        return recorder

    def answers(self, batches: Iterable[Batch], policy: Policy, recorder: Recorder | None = None) -> Answers | None:
        """Answers to `batches`, each run by itself, one after the other."""
        outputs, labels = [], []
        for batch in batches:
            outputs.append(self.run(batch, policy, recorder))
            labels.append(batch.targets)
        return self.read(outputs, joined(labels))

    def _count(self, batch: Batch) -> None:
        self.samples_run += batch.size
        self._told(self.samples_run)


def screened(samples: Batch, most: int, fixed_batch: int | None) -> Batch:
    """The first samples, as many as it takes to rank changes of the input by the gap they leave.

    Args:
        samples: to take some of; where the batch size is fixed, whole batches.
        most: how many, if they are small.
        fixed_batch: the only batch size the model takes; then whole batches are taken, and one at the least.
    """
    x = floating_input(samples)
    size = SMALL_INPUT if x is None else x[0].numel()
    number = max(min(most, max(FEWEST, most * SMALL_INPUT // max(size, 1))), fixed_batch or 0)
    number = min(number, samples.size)
    return samples.between(0, number if fixed_batch is None else number // fixed_batch * fixed_batch)


def paired(
    session: ProbeSession, layers: tuple[str, ...], samples: int, before: Watched, after: Watched
) -> Paired | None:
    """The comparison of two runs over the same samples; `None` where the outputs cannot be read."""
    if before.answers is None or after.answers is None:
        return None
    won, error = gain(before.answers, after.answers)
    task = session.task_of(before.answers, after.answers)
    if task is not None:
        won, error = task.score.gain, task.score.error if math.isfinite(task.score.error) else None
    moved = change(before.answers, after.answers)
    return Paired(
        layers=layers,
        samples=samples,
        before=_condition(layers, before, before.answers),
        after=_condition(layers, after, after.answers),
        gain=won,
        gain_error=error,
        predictions_changed=moved.changed_fraction(),
        output_change=moved.relative() or 0.0,
        task=task,
    )


def recorded_gap(recorder: Recorder, names: Sequence[str] | None = None) -> float:
    """RMS gap of the named layers over what was recorded, of all layers without names."""
    layers = recorder.by_layer()
    return rms([_layer_gap(layers[name]) for name in (layers if names is None else names) if name in layers])


def _layer_gap(calls: list[CallMoments]) -> float:
    """RMS over channels of sqrt(d^2 + (r - 1)^2): unlike the gap, it does not forgive an input that has vanished."""
    entry = together(calls)
    found = entry.statistics()
    mean, var, eps = stored_statistics(entry.layer)
    apart = compare(found.mean, found.var, mean, var, eps)
    return rms(np.hypot(apart.shift, apart.scale - 1))


def _condition(layers: tuple[str, ...], seen: Watched, answers: Answers) -> Condition:
    return Condition(seen.gap(layers), seen.gap(), answers.accuracy, answers.information)
