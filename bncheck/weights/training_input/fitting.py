"""The mean and the spread of pictures that make a convolution's outputs have the statistics that were stored of them.

A convolution is linear: the mean of what filter f gives is (sum of its kernel, colour by colour) . mu + b, and its
variance s^2 w' R w, where R is how alike two pixels are at a distance, times how alike two colours are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bncheck.core import FloatArray
from bncheck.weights.robust import AS_NORMAL

NEIGHBOURS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.78, 0.84, 0.88, 0.91, 0.935, 0.955, 0.97, 0.98, 0.987, 0.992, 0.995)
"""Correlations of neighbouring pixels that are tried; 0 is noise."""
SMOOTHNESS = (0.7, 1.0, 1.4, 1.8)
"""Exponents p that are tried of the correlation r^(d^p) at a distance of d pixels: edges below 1, blur above."""
COLOURS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.87, 0.92, 0.95, 0.975, 0.99, 0.997)
"""Correlations between colours that are tried."""
DEAD = 1e-6
"""Share of the median squared norm of the filters below which one has died: what it gives is not the picture's."""
BENDS = 0.5
"""Error of a logarithm of a variance from which it counts linearly: one in a few filters may be anything."""
MEAN_BENDS = 1.5
"""The same of a mean, in typical errors."""
ROUNDS = 15
"""Of reweighting the filters by how far off their means are; they settle before."""
COLOURS_APART = 0.3
"""Standard deviations by which the means of single colours lie apart, as a prior: filters that see gray say nothing."""
LEAST_ERROR = 1e-3
"""Stored deviations: a typical error of the means below it is taken for as much."""
NEAR_LOSS = 0.002
"""How much worse a correlation may fit that is as good as the best, beside what the number of filters allows."""
BORDERS = (1 / 256, 1 / 128, 1 / 64, 1 / 32, 1 / 24, 1 / 16, 1 / 12, 1 / 8)
"""Shares of the rows (and columns) that are the outermost, which are tried: beyond them a convolution sees zeros."""
SIDES = ((1.0, 1.0), (2.0, 0.0), (0.0, 2.0))
"""Of the borders, first and last, which are tried: with a stride of 2 zeros are seen on one side alone."""
INITIAL_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""What the variances may still have of their initial value 1."""
INITIAL_FITS = 0.9
"""Share of the loss below which they fit better so."""
LIVING = 0.9
"""Share of the filters that must give anything at all under a correlation."""


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """A convolution's filters and what is stored of their outputs, dead ones left out.

    Attributes:
        weight: float64, shape (O, C, height, width).
        mean: of the outputs less the bias, shape (O,).
        var: of the outputs, shape (O,), above 0.
    """

    weight: FloatArray
    mean: FloatArray
    var: FloatArray

    @classmethod
    def alive(cls, weight: FloatArray, bias: FloatArray, mean: FloatArray, var: FloatArray) -> Filters:
        """Those whose numbers are finite and that pass anything on."""
        norms = (weight**2).sum(axis=(1, 2, 3))
        kept = np.isfinite(norms) & np.isfinite(mean - bias) & np.isfinite(var) & (var > 0)
        kept &= norms > DEAD * (np.median(norms[kept]) if kept.any() else 0.0)
        return cls(weight[kept], (mean - bias)[kept], var[kept])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.var)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The standard deviation of the values fed, and how the pixels hang together.

    Attributes:
        std: that fits best; `low` and `high` are those of all correlations that fit as well.
        neighbours: correlation of neighbouring pixels; the least among those that fit as well in `least_neighbours`.
        error: typical error of the logarithm of a variance.
        initial: whether they fit better with a share of the initial variance of 1 in them, as after few updates.
    """

    std: float
    low: float
    high: float
    neighbours: float
    least_neighbours: float
    error: float
    initial: bool


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The mean of the values fed.

    Attributes:
        mean: per channel, shape (C,); `errors` are their standard errors.
        apart_error: standard error of the first channel's mean less the last one's.
        error: typical error of a filter's mean, in stored deviations.
        without: the same if the mean of the values were 0.
    """

    mean: FloatArray
    errors: FloatArray
    apart_error: float
    error: float
    without: float


def spread_of(filters: Filters) -> Spread | None:
    """The standard deviation that explains the variances; `None` where no correlation gives any."""
    neighbours, energies = _energies(filters)
    if not len(energies):
        return None
    losses, stds, errors = _fits(np.log(filters.var), energies)
    best = int(np.argmin(losses))
    near = losses <= losses[best] * (1 + 2 / math.sqrt(len(filters))) + NEAR_LOSS
    left = [
        float(_fits(np.log(filters.var - share), energies)[0].min())
        for share in INITIAL_SHARES
        if share < filters.var.min()
    ]
    return Spread(
        std=float(stds[best]),
        low=float(stds[near].min()),
        high=float(stds[near].max()),
        neighbours=float(neighbours[best]),
        least_neighbours=float(neighbours[near].min()),
        error=float(errors[best]),
        initial=min(left, default=math.inf) < INITIAL_FITS * float(losses[best]),
    )


def level_of(filters: Filters, std: float) -> Level:
    """The mean that explains the means, under the border that does best.

    Args:
        filters: of the convolution.
        std: of the values fed.
    """
    borders = [(0.0, 0.0), *((first * border, last * border) for border in BORDERS for first, last in SIDES)]
    return min((_level(filters, std, border) for border in borders), key=lambda level: level.error)


def _level(filters: Filters, std: float, border: tuple[float, float]) -> Level:
    """The same under one border, by least squares that outlying filters bend little.

    A weight that lies d rows before the middle is fed zeros at the d first rows of the outputs.
    """
    deviations = np.sqrt(filters.var)
    rows, columns = (_seen(side, border) for side in filters.weight.shape[2:])
    sums = np.einsum("ochw,h,w->oc", filters.weight, rows, columns) / deviations[:, None]
    wanted = filters.mean / deviations
    channels = sums.shape[1]
    between = np.eye(channels) - 1 / channels
    weights, typical = np.ones(len(wanted)), 1.0
    for _ in range(ROUNDS):
        normal = sums.T @ (weights[:, None] * sums) + between * (typical / (COLOURS_APART * std)) ** 2
        inverse = np.linalg.pinv(normal)
        mean = inverse @ (sums.T @ (weights * wanted))
        errors = np.abs(wanted - sums @ mean)
        typical = max(AS_NORMAL * float(np.median(errors)), LEAST_ERROR)
        weights = 1 / np.maximum(1.0, errors / (MEAN_BENDS * typical))
    covariance = inverse * typical**2
    apart = np.zeros(channels)
    apart[0], apart[-1] = 1.0, -1.0
    return Level(
        mean=mean,
        errors=np.sqrt(np.diag(covariance)),
        apart_error=math.sqrt(max(float(apart @ covariance @ apart), 0.0)),
        error=float(np.median(errors)),
        without=float(np.median(np.abs(wanted))),
    )


def _energies(filters: Filters) -> tuple[FloatArray, FloatArray]:
    """What each filter's variance is of values of variance 1, as logarithms, shape (correlations, O).

    Beside them the correlations of neighbouring pixels; NaN where a filter gives nothing.
    """
    together = _lags(filters.weight.sum(axis=1))
    apart = _lags(filters.weight).sum(axis=1)
    between = together - apart
    distances = _distances(*filters.weight.shape[2:])
    colours = COLOURS if filters.weight.shape[1] > 1 else (0.0,)
    tried, found = [], []
    for neighbours, exponent in _correlations():
        alike = neighbours ** (distances**exponent)
        within, across = ((part * alike).sum(axis=(1, 2)) for part in (apart, between))
        for colour in colours:
            energy = within + colour * across
            living = energy > DEAD * np.median(within)
            if living.mean() >= LIVING:
                tried.append(neighbours)
                found.append(np.log(np.where(living, energy, np.nan)))
    return np.array(tried), np.array(found)


def _fits(logs: FloatArray, energies: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Loss, standard deviation of the values fed, and typical error, under each correlation."""
    factors = logs - energies
    middles = np.nanmedian(factors, axis=1)
    errors = np.abs(factors - middles[:, None])
    bent = np.where(errors < BENDS, errors**2 / 2, BENDS * (errors - BENDS / 2))
    return np.nanmean(bent, axis=1), np.exp(middles / 2), AS_NORMAL * np.nanmedian(errors, axis=1)


def _seen(side: int, border: tuple[float, float]) -> FloatArray:
    """The share of the outputs at which each row of a kernel lies on the picture."""
    offsets = np.arange(side) - (side - 1) / 2
    return np.asarray(np.maximum(1 - border[0] * np.maximum(-offsets, 0) - border[1] * np.maximum(offsets, 0), 0.0))


def _correlations() -> Iterator[tuple[float, float]]:
    """Correlations of neighbours, and how they fall with the distance; noise does so in one way."""
    yield NEIGHBOURS[0], 1.0
    for neighbours in NEIGHBOURS[1:]:
        for exponent in SMOOTHNESS:
            yield neighbours, exponent


def _lags(kernels: FloatArray) -> FloatArray:
    """Autocorrelations of kernels (..., height, width): (..., 2 height - 1, 2 width - 1), lag 0 in the middle."""
    height, width = kernels.shape[-2:]
    size = (2 * height - 1, 2 * width - 1)
    power = np.abs(np.fft.rfft2(kernels, s=size)) ** 2
    return np.fft.fftshift(np.fft.irfft2(power, s=size), axes=(-2, -1))


def _distances(height: int, width: int) -> FloatArray:
    """Of every lag, in pixels."""
    rows, columns = np.meshgrid(np.arange(1 - height, height), np.arange(1 - width, width), indexing="ij")
    return np.asarray(np.hypot(rows, columns))
