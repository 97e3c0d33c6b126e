"""What a probe may go by: what is inspected, what the passes saw of it, and the evidence so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bncheck.core import NEAR_MARGIN, rms
from bncheck.data import Batch, Source
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.formats import Backend
from bncheck.measure import Observation, Plan
from bncheck.progress import Progress
from bncheck.results import InputFamily
from bncheck.watch import Ledger

FEW, MORE = 64, 256
"""Samples for what is only ranked, and for what is judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is inspected, and how.

    Attributes:
        model: the model.
        source: the data.
        plan: how these are read.
        training: the training sampling, if it was given.
        progress: told how far it is.
        ledger: what the questions cost is booked there.
        expected: how pixels were fed in training, by the model's weights; `None` where that is not known.
    """

    model: Backend
    source: Source
    plan: Plan
    training: Source | None
    progress: Progress
    ledger: Ledger = field(default_factory=Ledger)
    expected: InputFamily | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """What a probe may go by.

    Attributes:
        subject: what is inspected, and how.
        seen: what the passes saw.
        observed: what is known so far, with the answers of the probes that came before.
        fixed_batch: the only batch size the model takes, `None` where any goes.
    """

    subject: Subject
    seen: Observation
    observed: Evidence
    fixed_batch: int | None

    @cached_property
    def samples(self) -> Batch | None:
        """All samples drawn that fill whole batches; `None` without any."""
        drawn = self.seen.reservoir.samples()
        chosen = None if drawn is None else self._whole(drawn, drawn.size)
        return chosen if chosen is not None and chosen.size else None

    def drawn(self, most: int) -> Batch | None:
        """The first of them: `most`, and a whole batch at the least."""
        samples = self.samples
        return None if samples is None else self._whole(samples, max(min(most, samples.size), self.fixed_batch or 0))

    def number(self, most: int) -> int:
        """How many these are."""
        drawn = self.drawn(most)
        return 0 if drawn is None else drawn.size

    def folds(self, most: int) -> tuple[list[Batch], list[Batch]]:
        """Two folds of the first samples, in batches that the model takes; one by one where they have several forms.

        Sequences of unlike lengths cannot be joined, and any one length may have a sample or two.
        """
        singles = self.seen.reservoir.singles()
        if self.samples is None or self.samples.size < len(singles) // 2:
            return singles[:most:2], singles[1:most:2]
        samples = self.drawn(most)
        if samples is None:
            return [], []
        size = self.fixed_batch or self.subject.plan.batch_size
        middle = samples.size // 2
        middle -= middle % (self.fixed_batch or 1)
        parts = (samples.between(0, middle), samples.between(middle, samples.size))
        return list(parts[0].split(size)), list(parts[1].split(size))

    @cached_property
    def suspects(self) -> tuple[str, ...]:
        """Layers beyond the nearer margin and sampling, by their own gap where it is known, the farthest first."""
        gaps = {name: _gap(layer) for name, layer in self.observed.measured.items()}
        suspected = (name for name, gap in gaps.items() if gap > NEAR_MARGIN)
        return tuple(sorted(suspected, key=gaps.__getitem__, reverse=True))

    @property
    def is_finite(self) -> bool:
        """Whether all that was measured is, and the outputs are."""
        return not self.observed.outputs_not_finite and all(
            math.isfinite(layer.gap) for layer in self.observed.measured.values()
        )

    @property
    def is_labelled(self) -> bool:
        """Whether there may be labels to compare predictions with, otherwise than by a metric of the user's own."""
        return (self.seen.labelled or self.subject.training is not None) and self.subject.plan.metric is None

    def _whole(self, samples: Batch, number: int) -> Batch:
        return samples.between(0, number if self.fixed_batch is None else number // self.fixed_batch * self.fixed_batch)


def _gap(layer: MeasuredLayer) -> float:
    """The layer's own gap, or the inherited one, without what sampling alone would show; 0 where it is no number."""
    of = layer.inherited if layer.own is None else layer.own
    gap = rms(of.gap[layer.visible])
    with np.errstate(all="ignore"):
        # Sampling shows in proportion to the spread that a layer sees, which is not the same in both passes.
        noise = rms((layer.noise * of.scale / layer.inherited.scale)[layer.visible])
        beyond = gap**2 - (noise**2 if math.isfinite(noise) else 0.0)
    return math.sqrt(max(beyond, 0.0)) if math.isfinite(gap) else 0.0
