"""Maps of the input solved for: those under which the first layers would see what their statistics describe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray
from bncheck.evidence import NEAR_FACTOR, AffineMap, Mistake
from bncheck.probes.input.conventions import AS_GIVEN, Candidate, InputRange, fills, mistake_of
from bncheck.probes.input.known import FULL
from bncheck.probes.session import Watched
from bncheck.watch import together

KNOWN_FACTORS = tuple(
    factor for known in (2.0, 4.0, 10.0, 16.0, 100.0, 128.0, 255.0, 1000.0, 65535.0) for factor in (known, 1 / known)
)
"""Factors that units differ by; tried whether or not they can be solved for."""
MOST_FACTORS = len(KNOWN_FACTORS) + 2
"""How many `factors` gives at the most."""
STEPS = 4
"""Of Gauss-Newton: behind a linear map the first is exact."""
NUDGE = 0.05
"""How far slope and intercept are moved, relative to the data's spread, to see what that does."""

AS_IT_IS = AffineMap((1.0,))

Try = Callable[[AffineMap], Watched]


def factors(layers: tuple[str, ...], seen: Watched) -> Iterator[Candidate]:
    """The factor that brings means and spreads nearest to the stored ones, the one for spreads alone, and known ones.

    Behind a linear map without bias the mean and the standard deviation scale by the same factor; a bias moves
    the mean by what is not known, and leaves the spread. Behind anything else only trying them helps.
    """
    records = seen.recorder.by_layer()
    products = np.zeros((2, 2))  # rows: spreads, means; columns: measured x stored, measured x measured
    for name in layers:
        if name not in records:  # a model may take another way for other values
            continue
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
        is_known = any(abs(factor / known - 1) < THRESHOLDS.known_factor for known in KNOWN_FACTORS)
        if math.isfinite(factor) and not (is_known or 1 / NEAR_FACTOR < factor < NEAR_FACTOR):
            yield Candidate(AffineMap((float(factor),)), AS_GIVEN, None, constant=False)
    for known in KNOWN_FACTORS:
        yield Candidate(AffineMap((known,)), AS_GIVEN, None)


def affine(layers: tuple[str, ...], data: InputRange, attempt: Try, start: AffineMap) -> Iterator[Candidate]:
    """The slope and intercept of a mean and standard deviation that nobody has told, by Gauss-Newton on the gaps.

    Nothing where the values expected overlap those that are fed so far that another contrast or exposure may be all
    there is to it.

    Args:
        layers: fed by the input alone.
        data: what the values look like.
        attempt: runs a few samples under a map.
        start: the map to go from. Where activations come before the norm, the way from the values as they are may
            lead nowhere.
    """
    if not data.is_image:
        return
    center, spread = float(data.mean.mean()), float(data.std.mean()) or 1.0
    # x is mapped to slope * (x - center) + level: nearly independent of each other
    pairs = np.array(start.of_each())
    slope, level = float(pairs[:, 0].mean()), float((pairs[:, 0] * center + pairs[:, 1]).mean())
    for _ in range(STEPS):
        here = _residuals(layers, attempt(_map(slope, level, center)))
        steps = NUDGE * slope, NUDGE * slope * spread
        nudged = [
            _residuals(layers, attempt(_map(slope + by_slope, level + by_level, center)))
            for by_slope, by_level in ((steps[0], 0.0), (0.0, steps[1]))
        ]
        jacobian = np.stack([(there - here) / step for there, step in zip(nudged, steps, strict=True)], axis=1)
        if not (np.isfinite(jacobian).all() and np.isfinite(here).all()):
            return
        change = np.linalg.lstsq(jacobian, -here, rcond=None)[0]
        slope, level = max(slope + float(change[0]), slope / 10), level + float(change[1])
        if (
            abs(change[0]) < THRESHOLDS.known_factor * slope
            and abs(change[1]) < THRESHOLDS.known_factor * slope * spread
        ):
            break
    found = _map(slope, level, center)
    mistake = mistake_of(data, found)
    if mistake in (Mistake.TWICE, Mistake.UNSCALED) or not _may_be_exposure(data, found):
        yield Candidate(found, AS_GIVEN, None, constant=False, mistake=mistake)


def _map(slope: float, level: float, center: float) -> AffineMap:
    return AffineMap((slope,), (level - slope * center,))


def _residuals(layers: tuple[str, ...], seen: Watched) -> FloatArray:
    """Per channel: shift in stored standard deviations, and ratio of the standard deviations less 1.

    NaN where a layer was not run this time: a model may take another way for other values.
    """
    records = seen.recorder.by_layer()
    parts = []
    for name in layers:
        if name not in records:
            return np.full(1, np.nan)
        whole = together(records[name])
        found, stored = whole.statistics(), whole.layer
        if stored.mean is None or stored.var is None:
            continue
        sigma = np.sqrt(stored.var + (stored.eps or 0.0))
        usable = sigma > 0
        parts += [((found.mean - stored.mean) / np.where(usable, sigma, 1.0))[usable]]
        parts += [(np.sqrt(found.var) / np.where(usable, sigma, 1.0) - 1)[usable]]
    return np.concatenate(parts) if parts else np.zeros(0)


def _may_be_exposure(data: InputRange, by: AffineMap) -> bool:
    """Whether fed and expected values are so much alike that pictures may differ by that much.

    Values from black to white of 0..1 or 0..255 have their contrast: a network that expects some far below 0 expects
    them normalized. Values far wider than those expected were normalized once too often. Anything else may be the
    pictures.
    """
    low, high = float(data.low.min()), float(data.high.max())
    to_low, to_high = (by.slope[0] * value + by.intercept[0] for value in (low, high))
    shared = min(high, to_high) - max(low, to_low)
    width = max(high, to_high) - min(low, to_low)
    overlap = max(shared, 0.0) / width if width > 0 else 1.0  # all of one value, before and after
    if any(fills(data, one) for one in FULL):
        return overlap > THRESHOLDS.exposure_overlap or to_low > -THRESHOLDS.below_black * (to_high - to_low)
    return not (low <= to_low and to_high <= high and overlap < THRESHOLDS.exposure_inside)
