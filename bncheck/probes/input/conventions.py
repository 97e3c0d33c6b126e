"""The maps from one way in which pixels are fed to networks to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core import THRESHOLDS
from bncheck.evidence import AS_READ, BY_OPTIONS, AffineMap, Mistake
from bncheck.probes.input.known import CONVENTIONS, FULL, Convention
from bncheck.results import InputFamily

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class InputRange:
    """What is known of the data by looking at them; arrays have shape (C,).

    Attributes:
        low, high: smallest and largest value.
        mean, std: over samples and positions.
        is_image: there are positions, so channels are colours rather than features.
    """

    low: FloatArray
    high: FloatArray
    mean: FloatArray
    std: FloatArray
    is_image: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A map that may lead from what the data are to what the network expects.

    Attributes:
        map: from the data as they are.
        fed: what they are by their range, in words.
        expected: what they become; `None` where it has no name.
        constant: its numbers are known, not taken from the data.
        mistake: what was done wrong if it is the one.
        family: of what they become.
    """

    map: AffineMap
    fed: str
    expected: str | None
    constant: bool = True
    mistake: Mistake | None = None
    family: InputFamily | None = None


STANDARDIZED = "mean 0 and standard deviation 1 per channel"
INVERTED = "its inverse, bright for dark"
AS_GIVEN = "as given"
OWN_UNITS = "features that are not standardized, in their own units or standardized twice"


def candidates(data: InputRange, normalization: AffineMap | None = None, *, far: bool = False) -> Iterator[Candidate]:
    """Every map from a convention the data may follow, by their range, to another.

    Args:
        data: what they look like.
        normalization: by mean and std, which may be once too often.
        far: the layers fed by them lie farther off than brighter or darker pictures bring them: standardizing these
            would undo that too, so it is no evidence where they do not.
    """
    if normalization is not None:
        yield Candidate(normalization.undone, BY_OPTIONS, AS_READ)
    channels = len(data.low)
    if not data.is_image:
        if _standard_gap(data) > THRESHOLDS.unstandardized:
            yield Candidate(_standardizing(data), OWN_UNITS, "standardized features", constant=False)
        return
    known = [one for one in CONVENTIONS if one.fits(channels) and (channels == 1 or "MNIST" not in one.name)]
    seen: set[AffineMap] = set()
    for fed in (one for one in known if _may_be(data, one)):
        others = [(one, _between(fed, one)) for one in known if one != fed]
        for candidate in (
            *(
                Candidate(leading, fed.name, one.name, mistake=_mistake(fed, one), family=one.family)
                for one, leading in others
            ),
            Candidate(_standardizing(data), fed.name, f"values of {STANDARDIZED}", constant=False),
        ):
            if candidate.map not in seen:
                seen.add(candidate.map)
                yield candidate
    if _standard_gap(data) < THRESHOLDS.standardized:
        yield from _from_standardized(data, known)
    name = f"values of {STANDARDIZED}"
    if _is_standardized_twice(data):
        again = f"{name}, standardized twice"
        yield Candidate(_standardizing(data), again, name, constant=False, mistake=Mistake.TWICE)
    elif far and _standard_gap(data) > THRESHOLDS.unstandardized:
        yield Candidate(_standardizing(data), _moments_of(data), name, constant=False)
    if _is_unscaled(data):
        yield Candidate(_standardizing(data), "0..255 standardized as if 0..1", name, constant=False)
    yield Candidate(_as_map(-np.ones(channels), data.low + data.high), INVERTED, "it as it was", constant=False)
    yield from _undoing_twice(data)


def colour_constants(data: InputRange, expected: InputFamily | None = None) -> Iterator[tuple[str, AffineMap]]:
    """Normalizations that differ between channels and that the values may have gone through, with their names.

    Those that were expected come first.
    """
    for one in sorted(CONVENTIONS, key=lambda one: expected is None or one.family is not expected):
        if len(one.mean) == len(data.low) > 1 and data.is_image and _may_be(data, one):
            yield f"values of {one.name}", _as_map(*np.broadcast_arrays(one.slope, one.intercept))


def _from_standardized(data: InputRange, known: list[Convention]) -> Iterator[Candidate]:
    """Data standardized by constants that are not known are taken back by their own darkest and brightest values."""
    span = np.where(data.high > data.low, data.high - data.low, 1.0)
    own = Convention(f"values of {STANDARDIZED}", 1.0, tuple((-data.low / span).tolist()), tuple((1 / span).tolist()))
    for one in known:
        if len(one.mean) == 1 and not any(one.mean):
            yield Candidate(_between(own, one), own.name, one.name, constant=False)


def _is_standardized_twice(data: InputRange) -> bool:
    """Whether the constants that a second time would leave behind turn the values into pixels from black to white.

    Of z = (p - m)/s with mean 0 and standard deviation 1, (z - m)/s has mean -m/s and standard deviation 1/s.
    """
    std = 1 / np.where(data.std > 0, data.std, 1.0)
    mean = -data.mean * std
    low, high = ((values * std + mean) * std + mean for values in (data.low, data.high))
    return bool(abs(low.min()) <= THRESHOLDS.pixel_ends and abs(high.max() - 1) <= THRESHOLDS.pixel_ends)


def _undoing_twice(data: InputRange) -> Iterator[Candidate]:
    """Give what undoes the second of two equal normalizations of pixels from black to white, colour by colour.

    Of z = ((p - m)/s - m)/s the smallest and the largest value lie 1/s^2 apart, and the smallest is -m (1 + s)/s^2.
    """
    span = data.high - data.low
    if not np.all(span > 1):
        return
    std = 1 / np.sqrt(span)
    mean = -data.low * std**2 / (1 + std)
    if np.all((std > THRESHOLDS.pixel_least_std) & (mean > 0) & (mean < 1)):
        yield Candidate(_as_map(std, mean), AS_GIVEN, None, constant=False, mistake=Mistake.TWICE)


def mistake_of(data: InputRange, by: AffineMap) -> Mistake | None:
    """Name the step of the preprocessing that leads to a map with one slope and one intercept for all channels.

    Pixels that fill 0..1 or 0..255 were not normalized. Pixels that were normalized in another unit, black being as
    dark as it should be, are off by 255. Those normalized twice by mean m and standard deviation s take s z + m, and
    the same once more makes pixels from black to white of them: two numbers that were solved for would have to meet
    both ends by accident.
    """
    (slope, intercept), *_ = by.of_each()
    low, high = float(data.low.min()), float(data.high.max())
    to_low, to_high = slope * low + intercept, slope * high + intercept
    if any(fills(data, one) for one in FULL):
        return Mistake.RAW
    in_units = min(abs(slope * unit - 1) for unit in (255.0, 1 / 255))
    if in_units <= THRESHOLDS.unit_factor and abs(to_low - low) <= THRESHOLDS.pixel_ends * (to_high - to_low):
        return Mistake.UNSCALED
    dark, bright = slope * to_low + intercept, slope * to_high + intercept
    meets = abs(dark) <= THRESHOLDS.twice_ends and abs(bright - 1) <= THRESHOLDS.twice_ends
    return Mistake.TWICE if THRESHOLDS.pixel_least_std < slope < 1 and meets else None


def _mistake(fed: Convention, expected: Convention) -> Mistake | None:
    return Mistake.TWICE if fed.repeats == expected.name else None


def _moments_of(data: InputRange) -> str:
    """What values are called of which no convention is known."""
    mean, std = (", ".join(f"{one:.3g}" for one in values) for values in (data.mean, data.std))
    return f"values of mean {mean} and standard deviation {std}"


def _is_unscaled(data: InputRange) -> bool:
    """Whether the values may be (255 p - m)/s, with m and s of pixels in 0..1: black hardly below 0, white far off."""
    span = float((data.high - data.low).max())
    return (
        255 <= span <= 255 / THRESHOLDS.pixel_least_std and -1 / THRESHOLDS.pixel_least_std <= float(data.low.min()) < 0
    )


def _between(fed: Convention, expected: Convention) -> AffineMap:
    slope = expected.slope / fed.slope
    return _as_map(slope, expected.intercept - slope * fed.intercept)


def _standardizing(data: InputRange) -> AffineMap:
    std = np.where(data.std > 0, data.std, 1.0)
    return _as_map(1 / std, -data.mean / std)


def _as_map(slope: FloatArray, intercept: FloatArray) -> AffineMap:
    """One number where it is the same for all channels; rounding noise taken off."""

    def tidy(values: FloatArray) -> tuple[float, ...]:
        rounded = [float(f"{value:.10g}") for value in np.atleast_1d(values)]
        return tuple(rounded[:1] if len(set(rounded)) == 1 else rounded)

    slope, intercept = np.broadcast_arrays(slope, intercept)
    return AffineMap(tidy(slope), tidy(intercept))


def _may_be(data: InputRange, convention: Convention) -> bool:
    """Whether the values, taken back, are pixels from black to white; where black is 0, dark pictures will do."""
    low = float(((data.low - convention.intercept) / convention.slope).min())
    high = float(((data.high - convention.intercept) / convention.slope).max())
    if low < -THRESHOLDS.pixel_overshoot or high > 1 + THRESHOLDS.pixel_overshoot:
        return False
    return (
        high >= THRESHOLDS.pixel_range
        if not any(convention.mean)
        else low <= THRESHOLDS.pixel_ends and high >= 1 - THRESHOLDS.pixel_ends
    )


def fills(data: InputRange, convention: Convention) -> bool:
    """Whether the values go from the convention's black to near its white."""
    low = float(((data.low - convention.intercept) / convention.slope).min())
    high = float(((data.high - convention.intercept) / convention.slope).max())
    return (
        abs(low) <= THRESHOLDS.pixel_overshoot and THRESHOLDS.pixel_contrast <= high <= 1 + THRESHOLDS.pixel_overshoot
    )


def _standard_gap(data: InputRange) -> float:
    """RMS gap of the channels from mean 0 and standard deviation 1."""
    return float(np.sqrt(np.mean(data.mean**2 + (data.std - 1) ** 2)))
