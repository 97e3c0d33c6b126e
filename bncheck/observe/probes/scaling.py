"""Is the input scaled otherwise than the network expects? Runs samples again under the maps that would explain it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bncheck.data.batches import Batch
from bncheck.observe.probes.bench import Bench, Watched, paired
from bncheck.observe.probes.conventions import Candidate, candidates
from bncheck.observe.probes.inputs import floating_input, input_range, mapped
from bncheck.observe.probes.solving import affine, factors
from bncheck.probed import AffineMap, InputScaling
from bncheck.thresholds import MARGIN, NEAR_MARGIN

SCREENED = 32
"""Small samples on which every candidate is tried; fewer of large ones."""
FINALISTS = 3
"""Candidates tried on all samples."""
HANDICAP = 0.03
"""Gap by which a map without a name, or made from these very data, must be better than one that has both."""


def probe_scaling(
    bench: Bench, samples: Batch, layers: tuple[str, ...], before: Watched, normalization: AffineMap | None
) -> InputScaling | None:
    """The map that takes most of the gap from the layers fed by the input; `None` where no map takes any.

    Args:
        bench: runs the model.
        samples: to try maps on.
        layers: fed by the input alone.
        before: what they saw of `samples` as they are.
        normalization: what the user had done to them by --mean and --std.
    """
    x = floating_input(samples)
    data = None if x is None else input_range(x)
    gap = before.gap(layers)
    if data is None or not math.isfinite(gap) or gap <= MARGIN:
        return None
    few = bench.screened(samples, SCREENED)
    sites = before.sites(layers)

    def attempt(by: AffineMap) -> Watched:
        return bench.look(mapped(few, by), sites)

    def ranked(some: Iterable[Candidate]) -> list[tuple[float, Candidate]]:
        return [(_rank(attempt(one.map), layers, one), one) for one in some]

    tried = ranked([*candidates(data, normalization), *factors(layers, before), *affine(layers, data, attempt)])
    nearest, candidate = min(tried, key=lambda one: one[0])
    if nearest > NEAR_MARGIN and not candidate.map.inverts:
        tried += ranked(affine(layers, data, attempt, candidate.map))

    def best(some: Iterable[Candidate]) -> InputScaling | None:
        """Of those that take any of the gap of all samples, the one that leaves least."""
        found: list[tuple[float, InputScaling]] = []
        for one in some:
            after = bench.stored(mapped(samples, one.map))
            seen, rank = paired(layers, samples.size, before, after), _rank(after, layers, one)
            if seen is not None and rank < gap:
                found.append((rank, InputScaling(one.map, one.fed, one.expected, seen, one.constant)))
        return min(found, key=lambda one: one[0])[1] if found else None

    chosen = best(candidate for _, candidate in sorted(tried, key=lambda one: one[0])[:FINALISTS])
    if chosen is None or not chosen.is_solved:
        return chosen
    # Few samples say roughly which map it is; all of them say which.
    closer = best(affine(layers, data, lambda by: bench.look(mapped(samples, by), sites), chosen.map))
    return closer if closer is not None and closer.seen.after.gap < chosen.seen.after.gap else chosen


def _rank(seen: Watched, layers: tuple[str, ...], candidate: Candidate) -> float:
    """The gap that is left, handicapped."""
    gap = seen.gap(layers)
    has_both = candidate.constant and candidate.expected is not None
    return gap + (0.0 if has_both else HANDICAP) if math.isfinite(gap) else math.inf
