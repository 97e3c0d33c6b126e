"""Are there positions that repeat their neighbour in every channel, on one side of the axis only, as padding does?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from bncheck.core import BATCH_NORM, Moments, NormLayer
from bncheck.data import Batch
from bncheck.evidence import Evidence, FlatShare
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.session import ProbeSession
from bncheck.watch import STORED, Recorder, Site

SAMPLES = 32
"""Samples looked at: a share of positions that makes most of them shows in a few."""
SHORTEST = 8
"""Positions along an axis below which its halves say nothing."""


class Padding(Probe[Mapping[str, FlatShare]]):
    """Looks at the values that layers are fed."""

    title = "padding"
    needs = Needs(layers=True)

    def cost(self, case: Case) -> int:
        """Count one forward."""
        return case.number(SAMPLES)

    def answer(self, case: Case, session: ProbeSession) -> Mapping[str, FlatShare]:
        """The shares, by layer."""
        return flat_shares(session, session.batches(case.drawn(SAMPLES)))

    def told(self, evidence: Evidence, answer: Mapping[str, FlatShare]) -> Evidence:
        """Put them where single layers are judged."""
        return replace(evidence, closer=replace(evidence.closer, flat=answer))


class FlatRecorder(Recorder):
    """Looks at the values themselves, which moments do not tell; layers folded into others are not seen."""

    def __init__(self) -> None:
        super().__init__(per_sample=False)
        self.found: dict[str, list[tuple[int, float, float]]] = {}

    def record(self, site: Site, layer: NormLayer, x: torch.Tensor, samples: int) -> Moments:
        """Take in one call's input, (N, C, *spatial) or rows of sequences (N x T, C)."""
        if layer.kind == BATCH_NORM and (seen := _flat(_with_positions(x, samples))) is not None:
            self.found.setdefault(site.layer, []).append((samples, *seen))
        return super().record(site, layer, x, samples)


def flat_shares(session: ProbeSession, batches: Sequence[Batch]) -> dict[str, FlatShare]:
    """By layer, how much of its input is flat, and how one-sided the rest of it lies."""
    recorder = FlatRecorder()
    for batch in batches:
        session.run(batch, STORED, recorder)
    return {name: _share(seen) for name, seen in recorder.found.items()}


def _share(seen: Sequence[tuple[int, float, float]]) -> FlatShare:
    total = sum(samples for samples, _, _ in seen)
    first, last = (sum(one[0] * one[half] for one in seen) / total for half in (1, 2))
    varied = 2 - first - last
    return FlatShare((first + last) / 2, abs(first - last) / varied if varied > 0 else 0.0)


def _with_positions(x: torch.Tensor, samples: int) -> torch.Tensor:
    """Rows of sequences, (N x T, C), as (N, C, T)."""
    if x.dim() == 2 and samples and len(x) > samples and len(x) % samples == 0:
        return x.reshape(samples, len(x) // samples, -1).transpose(1, 2)
    return x


def _flat(x: torch.Tensor) -> tuple[float, float] | None:
    """The share of flat positions in the first and in the last half of the axis where they differ most."""
    found = [_along(x, axis) for axis in range(2, x.dim()) if x.shape[axis] >= SHORTEST]
    return max(found, key=lambda halves: abs(halves[1] - halves[0]), default=None)


def _along(x: torch.Tensor, axis: int) -> tuple[float, float]:
    length = x.shape[axis]
    same = (x.narrow(axis, 1, length - 1) == x.narrow(axis, 0, length - 1)).all(dim=1).movedim(axis - 1, -1).double()
    half = (length - 1) // 2
    return float(same[..., :half].mean()), float(same[..., -half:].mean())


PROBE = Padding()
