"""The p-value of a layer's gap against simulation, and the control of false discoveries."""

import math

import numpy as np
import pytest

from bncheck.core import MovingAverage, SampleMoments, compare, discoveries, gap_p_value, noise_floor, rms
from bncheck.core.noise import sample_says

EPS = 1e-5
AVERAGE = MovingAverage(0.1, 60, 32)
STORED = round(AVERAGE.effective_samples)
"""Samples whose plain average is as noisy as that moving average."""
POSITIONS = 9
LEVEL = 0.05


def drawn(generator: np.random.Generator, samples: int, mixing: np.ndarray) -> SampleMoments:
    """Samples of a layer whose channels are mixtures (C, k) of k sources; what varies within one is its own."""
    mean = generator.standard_normal((samples, mixing.shape[1])) @ mixing.T
    within = generator.chisquare(POSITIONS - 1, mean.shape) * (mixing**2).sum(axis=1)
    return SampleMoments(np.full(samples, float(POSITIONS)), mean, within)


def p_value(generator: np.random.Generator, samples: int, mixing: np.ndarray, shift: float = 0.0) -> float:
    """Of a layer whose stored means lie `shift` standard deviations from where they were averaged."""
    stored, table = drawn(generator, STORED, mixing).pooled(), drawn(generator, samples, mixing)
    found = table.pooled()
    mean = stored.mean + shift * np.sqrt(stored.variance)
    gap = rms(compare(found.mean, found.variance, mean, stored.variance, EPS).gap)
    noise = rms(noise_floor(table, stored.variance, EPS, AVERAGE))
    return gap_p_value(table, stored.variance, EPS, gap, noise)


@pytest.mark.parametrize(("channels", "sources"), [(1, 1), (12, 2), (12, 12)])
def test_a_layer_that_fits_is_accused_as_often_as_the_level_says(channels, sources):
    generator = np.random.default_rng(channels + sources)
    mixing = generator.standard_normal((channels, sources))
    values = np.array([p_value(generator, 200, mixing) for _ in range(800)])
    assert np.mean(values < LEVEL) == pytest.approx(LEVEL, abs=3 * math.sqrt(LEVEL * (1 - LEVEL) / len(values)))
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("samples", "channels"), [(3, 1), (40, 1), (6, 4), (12, 3)])
def test_the_p_value_is_that_of_a_chi_square_with_as_many_degrees_of_freedom(samples, channels):
    table = drawn(np.random.default_rng(samples), samples, np.eye(channels))
    shift, scale, weight = sample_says(table, np.full(channels, 2.0), EPS, instance=False)
    covariance = np.cov(np.hstack([shift, np.sqrt(weight) * scale]), rowvar=False)
    number, trace = samples - 1, np.trace(covariance)
    # tr(S^2) without what the covariance of so few samples adds to it (Srivastava 2005).
    squares = (np.sum(covariance**2) - trace**2 / number) * number**2 / ((number - 1) * (number + 2))
    freedom = min(max(trace**2 / squares, 1.0), 2 * channels) if squares > 0 else 2 * channels
    spread = 2 / (9 * freedom)
    z = (1.7 ** (2 / 3) - (1 - spread)) / math.sqrt(spread)
    found = gap_p_value(table, np.full(channels, 2.0), EPS, 0.34, 0.2)
    assert found == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, rel=1e-9)


def test_samples_that_are_all_alike_have_every_degree_of_freedom():
    # Noise that comes from the stored average alone: two channels, a mean and a scale of each.
    table = SampleMoments(np.full(50, 9.0), np.zeros((50, 2)), np.zeros((50, 2)))
    spread = 2 / (9 * 4)
    z = (1.5 ** (2 / 3) - (1 - spread)) / math.sqrt(spread)
    assert gap_p_value(table, np.ones(2), EPS, 0.3, 0.2) == pytest.approx(math.erfc(z / math.sqrt(2)) / 2)


def test_of_many_samples_256_are_taken_from_first_to_last():
    table = drawn(np.random.default_rng(0), 511, np.eye(2))
    every_second = table.take(np.arange(0, 511, 2))
    values = [gap_p_value(one, np.ones(2), EPS, 0.3, 0.2) for one in (table, every_second)]
    assert values[0] == values[1]


def test_channels_that_move_together_are_not_counted_apart():
    """Twelve copies of one channel say no more than one."""
    table = drawn(np.random.default_rng(3), 100, np.ones((1, 1)))
    copies = SampleMoments(table.count, table.mean.repeat(12, axis=1), table.m2.repeat(12, axis=1))
    alone, together = (gap_p_value(one, np.ones(one.channels), EPS, 0.3, 0.2) for one in (table, copies))
    assert together == pytest.approx(alone)
    assert 0.01 < alone < 0.2


def test_a_gap_that_is_there_is_seen():
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((12, 12))
    assert max(p_value(generator, 200, mixing, shift=0.3) for _ in range(50)) < 0.001


def test_nothing_is_said_where_nothing_can_be():
    table = drawn(np.random.default_rng(0), 50, np.eye(2))
    var = np.ones(2)
    assert math.isnan(gap_p_value(table, var, EPS, math.nan, 0.1))
    assert math.isnan(gap_p_value(table, var, EPS, 0.1, math.inf))
    assert math.isnan(gap_p_value(table.take(np.arange(2)), var, EPS, 0.1, 0.1))


@pytest.mark.parametrize(("gap", "expected"), [(0.0, 1.0), (0.1, 0.0)])
def test_constant_channels_have_no_chance(gap, expected):
    table = SampleMoments(np.full(50, 9.0), np.ones((50, 2)), np.zeros((50, 2)))
    assert gap_p_value(table, np.ones(2), EPS, gap, 0.0) == expected


def test_discoveries_are_those_of_benjamini_and_hochberg():
    """The example of their paper (1995, section 3.2): fifteen tests, four stand at 5 %."""
    values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528]
    values += [0.7590, 1.0]
    assert discoveries(values) == [True] * 4 + [False] * 11


def test_one_that_stands_takes_smaller_ones_with_it():
    assert discoveries([0.06, 0.04, 0.049], rate=0.05) == [False, False, False]
    assert discoveries([0.049, 0.04, 0.05], rate=0.05) == [True, True, True]
    assert discoveries([0.05], rate=0.05) == [True]


def test_what_is_not_a_number_never_stands():
    assert discoveries([math.nan, 0.001]) == [False, True]
    assert discoveries([]) == []


def test_of_many_layers_that_fit_hardly_any_stands():
    generator = np.random.default_rng(1)
    stands = [any(discoveries(generator.uniform(size=100).tolist())) for _ in range(1000)]
    assert np.mean(stands) == pytest.approx(LEVEL, abs=0.02)
