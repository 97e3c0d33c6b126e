"""Is the input scaled otherwise than the network expects? Runs samples again under the maps that would explain it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bncheck.data.batches import Batch
from bncheck.observe.probes.bench import Bench, Watched, paired
from bncheck.observe.probes.conventions import Candidate, candidates
from bncheck.observe.probes.inputs import floating_input, input_range, mapped
from bncheck.observe.recorder import together
from bncheck.probed import NEAR_FACTOR, AffineMap, InputScaling
from bncheck.thresholds import MARGIN

SCREENED = 32
"""Samples on which every candidate is tried."""
FINALISTS = 3
"""Candidates tried on all samples."""
HANDICAP = 0.03
"""Gap by which a map without a name, or made from these very data, must be better than one that has both."""
KNOWN_FACTORS = tuple(
    factor for known in (2.0, 4.0, 10.0, 16.0, 100.0, 128.0, 255.0, 1000.0, 65535.0) for factor in (known, 1 / known)
)
"""Factors that units differ by; tried whether or not they can be solved for."""
SNAP = 0.03
"""A solved factor this near to a known one is that one."""


def probe_scaling(bench: Bench, samples: Batch, layers: tuple[str, ...], before: Watched) -> InputScaling | None:
    """The map that takes most of the gap from the layers fed by the input; `None` where no map takes any.

    Args:
        bench: runs the model.
        samples: to try maps on.
        layers: fed by the input alone.
        before: what they saw of `samples` as they are.
    """
    x = floating_input(samples)
    data = None if x is None else input_range(x)
    gap = before.gap(layers)
    if data is None or not math.isfinite(gap) or gap <= MARGIN:
        return None
    tried = [*candidates(data), *_factors(layers, before)]
    few = bench.whole(samples, max(SCREENED, bench.fixed or 0))
    screened = [(_rank(bench.stored(mapped(few, one.map)), layers, one), place) for place, one in enumerate(tried)]
    best: tuple[float, InputScaling] | None = None
    for _, place in sorted(screened)[:FINALISTS]:
        candidate = tried[place]
        after = bench.stored(mapped(samples, candidate.map))
        seen, rank = paired(layers, samples.size, before, after), _rank(after, layers, candidate)
        if seen is not None and rank < (gap if best is None else best[0]):
            best = rank, InputScaling(candidate.map, candidate.fed, candidate.expected, seen)
    return None if best is None else best[1]


def _rank(seen: Watched, layers: tuple[str, ...], candidate: Candidate) -> float:
    """The gap that is left, handicapped."""
    gap = seen.gap(layers)
    has_both = candidate.constant and candidate.expected is not None
    return gap + (0.0 if has_both else HANDICAP) if math.isfinite(gap) else math.inf


def _factors(layers: tuple[str, ...], seen: Watched) -> Iterator[Candidate]:
    """The factor that brings means and spreads nearest to the stored ones, the one for spreads alone, and known ones.

    Behind a linear map without bias the mean and the standard deviation scale by the same factor; a bias moves
    the mean by what is not known, and leaves the spread. Behind anything else only trying them helps.
    """
    records = seen.recorder.by_layer()
    products = np.zeros((2, 2))  # rows: spreads, means; columns: measured x stored, measured x measured
    for name in layers:
        whole = together(records[name])
        found, stored = whole.statistics(), whole.layer
        if stored.mean is None or stored.var is None:
            continue
        spread = stored.var + (stored.eps or 0.0)
        usable = (spread > 0) & (found.var > 0)
        for row, (measured, wanted) in enumerate(((np.sqrt(found.var), np.sqrt(spread)), (found.mean, stored.mean))):
            weighted = (measured / np.where(usable, spread, 1.0))[usable]
            products[row] += (weighted * wanted[usable]).sum(), (weighted * measured[usable]).sum()
    for numerator, denominator in (products.sum(0), products[0]):
        factor = numerator / denominator if denominator > 0 else 1.0
        is_known = any(abs(factor / known - 1) < SNAP for known in KNOWN_FACTORS)
        if math.isfinite(factor) and not (is_known or 1 / NEAR_FACTOR < factor < NEAR_FACTOR):
            yield Candidate(AffineMap((float(factor),)), "as given", None, constant=False)
    for known in KNOWN_FACTORS:
        yield Candidate(AffineMap((known,)), "as given", None)
