"""Maps of the input: samples are run again under those that would explain the gap of the first layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from bncheck.core import MARGIN, NEAR_MARGIN, THRESHOLDS
from bncheck.data import Batch
from bncheck.evidence import AffineMap, InputScaling
from bncheck.probes.input.conventions import Candidate, InputRange, candidates
from bncheck.probes.input.inputs import floating_input, input_range, mapped
from bncheck.probes.input.solving import AS_IT_IS, MOST_FACTORS, STEPS, affine, factors
from bncheck.probes.session import ProbeSession, Watched, paired, screened
from bncheck.results import InputFamily

SCREENED = 32
"""Small samples on which every candidate is tried; fewer of large ones."""
FINALISTS = 3
"""Candidates tried on all samples."""


def probe_scaling(
    session: ProbeSession,
    samples: Batch,
    layers: tuple[str, ...],
    before: Watched,
    normalization: AffineMap | None,
    expected: InputFamily | None = None,
) -> InputScaling | None:
    """The map that takes most of the gap from the layers fed by the input; `None` where no map takes any.

    Args:
        session: runs the samples.
        samples: to try maps on.
        layers: fed by the input alone.
        before: what they saw of `samples` as they are.
        normalization: what the user had done to them by mean and std.
        expected: how the network was fed in training, by its weights: the first that is believed.
    """
    x = floating_input(samples)
    data = None if x is None else input_range(x)
    gap = before.gap(layers)
    if data is None or not math.isfinite(gap) or gap <= MARGIN:
        return None
    search = _Search(session, samples, layers, before, expected)
    far = gap > THRESHOLDS.input_far
    tried = search.ranked([*candidates(data, normalization, far=far), *factors(layers, before), *search.solved(data)])
    nearest, candidate = tried[0]
    if nearest > NEAR_MARGIN and not candidate.map.inverts:
        tried = sorted([*tried, *search.ranked(search.solved(data, candidate.map))], key=_first)
    chosen = search.best(candidate for _, candidate in tried[:FINALISTS])
    if chosen is None or not chosen.is_solved:
        return chosen
    # Few samples say roughly which map it is; all of them say which.
    closer = search.best(search.solved(data, chosen.map, few=False))
    return closer if closer is not None and closer.seen.after.gap < chosen.seen.after.gap else chosen


def scaling_cost(samples: Batch, normalization: AffineMap | None, fixed_batch: int | None) -> int:
    """Samples that `probe_scaling` runs at the most."""
    x = floating_input(samples)
    data = None if x is None else input_range(x)
    if data is None:
        return 0
    named = sum(1 for _ in candidates(data, normalization, far=True))
    # What is solved for takes three runs a step, and one to see what it leaves.
    looks = named + MOST_FACTORS + 2 * (3 * STEPS + 1)
    return looks * screened(samples, SCREENED, fixed_batch).size + (FINALISTS + 3 * STEPS + 1) * samples.size


class _Search:
    """Maps tried on a few samples, as far as the layers fed by the input, and the best of them on all."""

    def __init__(
        self,
        session: ProbeSession,
        samples: Batch,
        layers: tuple[str, ...],
        before: Watched,
        expected: InputFamily | None,
    ) -> None:
        self._session = session
        self._samples = samples
        self._few = screened(samples, SCREENED, session.fixed_batch)
        self._layers = layers
        self._before = before
        self._expected = expected
        self._sites = before.sites(layers)

    def ranked(self, some: Iterable[Candidate]) -> list[tuple[float, Candidate]]:
        """By the gap that they leave, the least first."""
        return sorted(((self._rank(self._look(self._few, one.map), one), one) for one in some), key=_first)

    def solved(self, data: InputRange, start: AffineMap = AS_IT_IS, *, few: bool = True) -> Iterator[Candidate]:
        """The map that fits best, found from `start` on."""
        samples = self._few if few else self._samples
        return affine(self._layers, data, lambda by: self._look(samples, by), start)

    def best(self, some: Iterable[Candidate]) -> InputScaling | None:
        """The one that takes most of the gap of all samples; `None` where none takes any."""
        found: list[tuple[float, InputScaling]] = []
        for one in some:
            after = self._session.stored(mapped(self._samples, one.map))
            seen = paired(self._session, self._layers, self._samples.size, self._before, after)
            if seen is not None:
                scaling = InputScaling(one.map, one.fed, one.expected, seen, one.constant, one.mistake)
                found.append((self._rank(after, one), scaling))
        left, best = min(found, key=_first, default=(math.inf, None))
        return best if left < self._before.gap(self._layers) else None

    def _look(self, samples: Batch, by: AffineMap) -> Watched:
        return self._session.look(mapped(samples, by), self._sites)

    def _rank(self, seen: Watched, candidate: Candidate) -> float:
        """The gap that is left, handicapped."""
        gap = seen.gap(self._layers)
        has_both = candidate.constant and candidate.expected is not None
        is_other = None not in (self._expected, candidate.family) and candidate.family is not self._expected
        return gap + (0.0 if has_both and not is_other else THRESHOLDS.map_handicap) if math.isfinite(gap) else math.inf


def _first(pair: tuple[float, object]) -> float:
    return pair[0]
