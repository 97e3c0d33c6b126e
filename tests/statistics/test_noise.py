"""The noise floor against simulation, and the lower bound's false alarms and power."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from bncheck.core import (
    MovingAverage,
    SampleMoments,
    compare,
    gap_lower_bound,
    noise_floor,
    rms,
    samples_needed,
    smallest_detectable_gap,
)
from bncheck.core.noise import sample_says

EPS = 1e-5
MOMENTUM = 0.1
UPDATES = 60
"""Enough for what the average started from to weigh 0.2 %."""


@dataclass(frozen=True)
class Replicate:
    """Fresh samples, and statistics that training on the same distribution would have stored."""

    table: SampleMoments
    mean: np.ndarray
    var: np.ndarray
    batch_size: int
    instance: bool = False

    @property
    def average(self):
        return MovingAverage(MOMENTUM, UPDATES, self.batch_size)

    @property
    def noise(self):
        return noise_floor(self.table, self.var, EPS, self.average, instance=self.instance)

    @property
    def gap(self):
        found = self.table.instances() if self.instance else self.table.pooled()
        return compare(found.mean, found.variance, self.mean, self.var, EPS).gap

    def lower_bound(self, shift=0.0, stretch=1.0):
        """Of the gap from stored statistics that were moved away by `shift` and `stretch` deviations."""
        deviation = np.sqrt(self.var)
        mean, var = self.mean + shift * deviation, self.var * stretch**2
        return gap_lower_bound(self.table, mean, var, EPS, rms(self.noise), instance=self.instance)


def table_of(maps):
    """The table of maps of shape (n, C, positions)."""
    positions = maps.shape[2]
    return SampleMoments(np.full(len(maps), float(positions)), maps.mean(axis=2), maps.var(axis=2) * positions)


def moving_average(newest_last):
    """What momentum leaves of one value per update, (UPDATES, C), started from their average."""
    average = newest_last.mean(axis=0)
    for value in newest_last:
        average = average + MOMENTUM * (value - average)
    return average


def replicate(draw, samples, batch_size, *, instance=False):
    """One experiment; `draw(n)` gives n maps of shape (n, C, positions)."""
    batches = draw(UPDATES * batch_size)
    batches = batches.reshape(UPDATES, batch_size, *batches.shape[1:])
    if instance:
        means, variances = batches.mean(axis=(1, 3)), batches.var(axis=3, ddof=1).mean(axis=1)
    else:
        means, variances = batches.mean(axis=(1, 3)), batches.var(axis=(1, 3), ddof=1)
    table = table_of(draw(samples))
    return Replicate(table, moving_average(means), moving_average(variances), batch_size, instance)


def smooth_maps(seed, channels=8):
    """8x8 maps of four patches whose levels dominate: 64 values worth few."""
    generator = np.random.default_rng(seed)

    def draw(samples):
        patches = generator.standard_normal((samples, channels, 2, 1, 2, 1), dtype=np.float32)
        pixels = generator.standard_normal((samples, channels, 2, 4, 2, 4), dtype=np.float32)
        return (3 + patches + 0.5 * pixels).reshape(samples, channels, 64).astype(np.float64)

    return draw


def small_maps(seed, channels=8, contrast=0.0):
    """Four values a map, half of their variance between samples; samples differ in contrast by e^contrast."""
    generator = np.random.default_rng(seed)

    def draw(samples):
        level = generator.standard_normal((samples, channels, 1))
        scale = np.exp(contrast * generator.standard_normal((samples, channels, 1)))
        return (0.0 if contrast else level) + scale * generator.standard_normal((samples, channels, 4))

    return draw


# The floor


@pytest.fixture(scope="module")
def smooth_replicates():
    draw = smooth_maps(0)
    return [replicate(draw, samples=128, batch_size=16) for _ in range(40)]


def test_floor_is_the_gap_that_sampling_alone_shows(smooth_replicates):
    observed = rms([one.gap for one in smooth_replicates])
    foretold = rms([one.noise for one in smooth_replicates])
    assert observed == pytest.approx(foretold, rel=0.15)


def test_pixels_taken_as_units_would_foretell_a_fraction_of_it(smooth_replicates):
    def per_pixel(one):
        pooled = one.table.pooled()
        share = 1 / pooled.count + 1 / (64 * one.average.effective_samples)
        # Mean and standard deviation of independent normal values: variances 1 / n and 1 / 2n.
        return math.sqrt(1.5 * share * float(np.mean(pooled.variance / one.var)))

    observed = rms([one.gap for one in smooth_replicates])
    assert observed > 3 * rms([per_pixel(one) for one in smooth_replicates])


def test_floor_without_the_stored_average_s_own_noise_would_be_too_low(smooth_replicates):
    exact = MovingAverage(None, 10**9, 16)
    observed = rms([one.gap for one in smooth_replicates])
    assert observed > 1.15 * rms([noise_floor(one.table, one.var, EPS, exact) for one in smooth_replicates])


def test_floor_of_instance_norm_is_the_gap_of_its_own_averages():
    draw = small_maps(1, contrast=0.5)
    replicates = [replicate(draw, samples=256, batch_size=16, instance=True) for _ in range(60)]
    observed = rms([one.gap for one in replicates])
    assert observed == pytest.approx(rms([one.noise for one in replicates]), rel=0.1)


def test_floor_of_instance_norm_leaves_out_the_spread_between_samples_in_the_variance():
    generator = np.random.default_rng(0)
    levels = np.where(generator.random((50, 2, 1)) < 0.1, 30.0, 0.0)
    table = table_of(levels + generator.normal(size=(50, 2, 16)))
    arguments = (table, np.full(2, 1e4), EPS, MovingAverage())
    shift_only = table.mean.std(axis=0, ddof=1) / 100 * math.sqrt(1 / 50 + 1 / (19 * 32))
    np.testing.assert_allclose(noise_floor(*arguments, instance=True), shift_only, rtol=0.01)
    assert np.all(noise_floor(*arguments) > 1.05 * shift_only)


def test_floor_worked_by_hand():
    # One value a sample, 1 and 3: mean 2, sample variance 2, and (x - mean)^2 = 1 both times, so r is exact.
    table = SampleMoments(np.ones(2), np.array([[1.0], [3.0]]), np.zeros((2, 1)))
    floor = noise_floor(table, np.array([4.0]), 0.0, MovingAverage(1.0, None, 8))
    assert floor == pytest.approx(math.sqrt(2 / 4 * (1 / 2 + 1 / 8)))


def test_floor_worked_by_hand_for_the_scale():
    # Means equal, variances 1 and 3 within samples of two values: var_B = 2, the sample's say has variance 2.
    table = SampleMoments(np.full(2, 2.0), np.zeros((2, 1)), np.array([[2.0], [6.0]]))
    floor = noise_floor(table, np.array([8.0]), 0.0, MovingAverage(1.0, None, 2))
    assert floor == pytest.approx(math.sqrt(2 / (4 * 2 * 8) * (1 / 2 + 1 / 2)))


def test_floor_worked_by_hand_where_eps_is_as_large_as_the_variance():
    # As before with eps = 2: (var_B + eps) = 4, (stored + eps) = 16, and w = 2 / 4.
    table = SampleMoments(np.full(2, 2.0), np.zeros((2, 1)), np.array([[2.0], [6.0]]))
    floor = noise_floor(table, np.array([14.0]), 2.0, MovingAverage(1.0, None, 2))
    assert floor == pytest.approx(math.sqrt(2 / 4 * 2 / (4 * 4 * 16) * (1 / 2 + 1 / 2)))


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_what_each_sample_says_worked_by_hand(unit):
    # Two samples of two values: mean 2, variance (2 + 6 + 2 + 2) / 4 = 3 in all, (2 + 6) / 2 = 4 within.
    table = SampleMoments(np.full(2, 2.0), unit * np.array([[1.0], [3.0]]), unit**2 * np.array([[2.0], [6.0]]))
    stored, eps = unit**2 * np.array([3.5]), unit**2 * 0.5
    shift, scale, weight = sample_says(table, stored, eps, instance=False)
    assert shift.ravel() == pytest.approx([0.5, 1.5])
    assert scale.ravel() == pytest.approx(np.array([2.0, 4.0]) / (2 * math.sqrt(3.5 * 4)))
    assert weight == pytest.approx(3 / 3.5)
    shift, scale, weight = sample_says(table, stored, eps, instance=True)
    assert shift.ravel() == pytest.approx([0.5, 1.5])
    assert scale.ravel() == pytest.approx(np.array([2.0, 6.0]) / (2 * math.sqrt(4.5 * 4)))
    assert weight == pytest.approx(4 / 4.5)


def test_what_samples_say_where_nothing_can_be_divided_by():
    table = SampleMoments(np.full(2, 2.0), np.array([[1.0, 1.0], [3.0, 1.0]]), np.array([[2.0, 0.0], [6.0, 0.0]]))
    shift, scale, weight = sample_says(table, np.array([0.0, 4.0]), 0.0, instance=False)
    assert np.isnan(shift[:, 0]).all()
    assert np.isnan(scale[:, 0]).all()
    # A channel that is constant: its mean counts, its scale does not.
    assert shift[:, 1].tolist() == [0.5, 0.5]
    assert scale[:, 1].tolist() == [0.0, 0.0]
    assert weight.tolist() == [1.0, 0.0]


def test_floor_counts_the_samples_behind_the_statistics_not_only_those_in_the_table():
    table = table_of(smooth_maps(0)(40))
    exact = MovingAverage(None, 10**9, 1)
    some = noise_floor(table, np.ones(8), EPS, exact)
    np.testing.assert_allclose(noise_floor(table, np.ones(8), EPS, exact, total=160), some / 2, rtol=1e-4)


@pytest.mark.parametrize("samples", [0, 1])
@pytest.mark.parametrize("instance", [False, True])
def test_floor_is_infinite_below_two_samples(samples, instance):
    table = table_of(smooth_maps(0)(2)).take(np.arange(samples))
    assert noise_floor(table, np.ones(8), EPS, MovingAverage(), instance=instance).tolist() == [math.inf] * 8


def test_floor_of_dead_channels_is_held_down_by_eps():
    table = table_of(1e-7 * smooth_maps(0)(20))
    assert np.all(noise_floor(table, np.full(8, 1e-14), 1e-5, MovingAverage()) < 1e-4)


def test_floor_of_constant_channels_is_0():
    table = table_of(np.full((5, 2, 4), 3.0))
    assert noise_floor(table, np.ones(2), 0.0, MovingAverage()).tolist() == [0.0, 0.0]


def test_floor_is_nan_where_the_stored_variance_cannot_be_divided_by():
    table = table_of(smooth_maps(0, channels=2)(5))
    floor = noise_floor(table, np.array([-1.0, 1.0]), EPS, MovingAverage())
    assert np.isnan(floor).tolist() == [True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_floor_is_nan_in_a_channel_that_is_not_finite(value):
    maps = smooth_maps(0, channels=2)(5)
    table = table_of(maps)
    table.mean[3, 0] = table.m2[3, 0] = value
    assert np.isnan(noise_floor(table, np.ones(2), EPS, MovingAverage())).tolist() == [True, False]


# What the stored average is worth


@pytest.mark.parametrize(("momentum", "batches"), [(0.1, 19), (0.01, 199), (0.001, 1999), (1.0, 1)])
def test_moving_average_is_worth_its_number_of_batches(momentum, batches):
    assert MovingAverage(momentum, None, 32).effective_samples == pytest.approx(32 * batches)


def test_moving_average_is_worth_no_more_than_it_has_seen():
    assert MovingAverage(0.1, 3, 16).effective_samples == 48
    assert MovingAverage(0.1, 1000, 16).effective_samples == pytest.approx(19 * 16)


def test_cumulative_average_is_worth_all_it_has_seen():
    assert MovingAverage(None, 500, 16).effective_samples == 8000
    assert MovingAverage(None, None, 16).effective_samples == pytest.approx(19 * 16)


@pytest.mark.parametrize("momentum", [0.1, 0.5])
def test_moving_average_of_independent_batches_has_the_variance_that_its_worth_says(momentum):
    weights = momentum * (1 - momentum) ** np.arange(500)
    assert MovingAverage(momentum, None, 1).effective_samples == pytest.approx(1 / np.sum(weights**2))


# The lower bound


@pytest.mark.parametrize("instance", [False, True])
@pytest.mark.parametrize("channels", [1, 8])
def test_bound_rarely_rises_under_equal_statistics(channels, instance):
    draw = small_maps(2, channels)
    alarms = [replicate(draw, 400, 32, instance=instance).lower_bound() > 0.05 for _ in range(100)]
    # 5 %, and what simulating it 100 times may add.
    assert np.mean(alarms) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)


@pytest.mark.parametrize("instance", [False, True])
@pytest.mark.parametrize(("shift", "stretch"), [(0.5, 1.0), (0.0, 2.0), (0.4, 1 / 1.3)])
def test_bound_lies_a_little_below_a_true_gap_of_one_half(shift, stretch, instance):
    truth = math.hypot(shift / stretch, 1 - 1 / stretch)
    assert truth == pytest.approx(0.5, abs=0.11)
    draw = small_maps(3)
    bounds = np.array([replicate(draw, 400, 32, instance=instance).lower_bound(shift, stretch) for _ in range(40)])
    assert np.mean((bounds > truth - 0.15) & (bounds < truth)) >= 0.75
    assert np.mean(bounds > truth - 0.15) >= 0.95


def test_bound_of_instance_norm_ignores_the_spread_between_samples():
    maps = 10 * np.random.default_rng(0).standard_normal((100, 2, 1)) + smooth_maps(0, channels=2)(100)
    table = table_of(maps)
    own = table.instances()
    assert gap_lower_bound(table, own.mean, own.variance, EPS, 0.0, instance=True) == 0.0
    assert gap_lower_bound(table, own.mean, own.variance, EPS, 0.0) > 3


def test_bound_takes_the_noise_off_in_squares():
    table = table_of(np.tile([[[-1.0, 1.0]]], (20, 1, 1)))
    assert gap_lower_bound(table, np.array([0.5]), np.ones(1), 0.0, 0.0) == pytest.approx(0.5)
    assert gap_lower_bound(table, np.array([0.5]), np.ones(1), 0.0, 0.3) == pytest.approx(0.4)
    assert gap_lower_bound(table, np.array([0.5]), np.ones(1), 0.0, 0.6) == 0.0


def test_bound_falls_as_samples_disagree():
    agreeing = np.tile([[[-1.0, 1.0]]], (40, 1, 1))
    disagreeing = agreeing + np.tile([-0.8, 0.8], 20)[:, None, None]
    bounds = [
        gap_lower_bound(table_of(maps), np.full(1, 0.5), np.ones(1), 0.0, 0.0) for maps in (agreeing, disagreeing)
    ]
    assert bounds[0] > bounds[1] + 0.05


@pytest.mark.parametrize("samples", [0, 1])
@pytest.mark.parametrize("instance", [False, True])
def test_too_few_samples_have_no_bound_above_0(samples, instance):
    table = table_of(smooth_maps(0)(2)).take(np.arange(samples))
    stored = (np.full(8, 50.0), np.ones(8))
    assert gap_lower_bound(table, *stored, EPS, math.inf, instance=instance) == 0.0


def test_unknown_noise_leaves_no_bound_above_0():
    table = table_of(smooth_maps(0)(30))
    assert gap_lower_bound(table, np.full(8, 50.0), np.ones(8), EPS, math.inf) == 0.0


def test_bound_is_nan_where_the_gap_is():
    table = table_of(smooth_maps(0, channels=2)(30))
    assert math.isnan(gap_lower_bound(table, np.zeros(2), np.array([1.0, -1.0]), EPS, 0.1))
    table.mean[3, 0] = math.nan
    assert math.isnan(gap_lower_bound(table, np.zeros(2), np.ones(2), EPS, 0.1))


@pytest.mark.parametrize("instance", [False, True])
@pytest.mark.parametrize(("samples", "groups"), [(8, 8), (20, 20), (47, 20)])
def test_bound_is_that_of_the_jackknife_worked_out_beside_it(samples, groups, instance):
    maps = small_maps(5, channels=2)(samples)
    table, stored_mean, stored_var = table_of(maps), np.array([4.0, -3.0]), np.array([1.5, 2.5])

    def squared_gap(chosen):
        if instance:
            mean, var = chosen.mean(axis=(0, 2)), chosen.var(axis=2, ddof=1).mean(axis=0)
        else:
            mean, var = chosen.mean(axis=(0, 2)), chosen.var(axis=(0, 2))
        return np.mean(compare(mean, var, stored_mean, stored_var, EPS).gap ** 2)

    member = np.arange(samples) % groups
    squares = [squared_gap(maps[member != group]) for group in range(groups)]
    spread = math.sqrt((groups - 1) * np.var(squares))
    student = smallest_detectable_gap(1.0, groups)
    for average, widened in [(None, 1.0), (MovingAverage(0.5, None, 4), math.sqrt(1 + samples / 12))]:
        bound = gap_lower_bound(table, stored_mean, stored_var, EPS, 0.2, average=average, instance=instance)
        expected = squared_gap(maps) - 0.04 - student * spread * widened
        assert expected > 0
        assert bound == pytest.approx(math.sqrt(expected), rel=1e-9)


def test_seven_samples_are_too_few_for_a_bound():
    assert gap_lower_bound(table_of(smooth_maps(0)(7)), np.full(8, 50.0), np.ones(8), EPS, 0.0) == 0.0


@pytest.mark.parametrize(
    ("average", "worth"),
    [
        (MovingAverage(0.5, None, 4), 12.0),
        (MovingAverage(0.5, 2, 4), 8.0),
        (MovingAverage(0.5, 100, 4), 12.0),
        (MovingAverage(1.0, None, 4), 4.0),
        (MovingAverage(1.5, None, 4), 4.0),
        # Cumulative: what it has seen, or what one of the usual momentum is worth.
        (MovingAverage(None, 7, 4), 28.0),
        (MovingAverage(None, None, 4), 76.0),
        (MovingAverage(), 608.0),
    ],
)
def test_what_a_moving_average_is_worth(average, worth):
    assert average.effective_samples == pytest.approx(worth)


# What can be seen, and with how many samples


@pytest.mark.parametrize("freedom", [1, 2, 10])
def test_student_s_quantile_has_the_coefficients_of_the_table(freedom):
    """Abramowitz & Stegun 26.7.5, highest power first."""
    terms = [([1, 0], 1), ([1, 0, 1, 0], 4), ([5, 0, 16, 0, 3, 0], 96), ([3, 0, 19, 0, 17, 0, -15, 0], 384)]
    expected = sum(np.polyval(term, 1.645) / (divisor * freedom**i) for i, (term, divisor) in enumerate(terms))
    assert smallest_detectable_gap(1.0, freedom + 1) == pytest.approx(expected, rel=1e-12)


def test_samples_needed_worked_by_hand():
    # Noise 0.1 at 10 samples and 1000 stored ones: sd^2 = 0.01 / (1 / 10 + 1 / 1000).
    spread = 0.01 / (1 / 10 + 1 / 1000)
    allowed = (0.05 / 1.645) ** 2 / spread
    assert samples_needed(0.1, 10, 1000.0, 0.05) == math.ceil(1 / (allowed - 1 / 1000)) == 121
    # Where fewer would do, one more is asked for.
    assert samples_needed(0.1, 10, 1000.0, 10.0) == 11
    assert samples_needed(0.1, 2, 1000.0, 10.0) == 3
    # (0.8225 / 1.645)^2 (1 / 2 + 1 / 6) = 1 / 6: only infinitely many would do.
    assert samples_needed(1.0, 2, 6.0, 0.8225) is None


@pytest.mark.parametrize(("samples", "student"), [(11, 1.8125), (31, 1.6973), (201, 1.6525), (10**6, 1.6449)])
def test_smallest_detectable_gap_is_student_s_one_sided_95_percent(samples, student):
    assert smallest_detectable_gap(0.1, samples) == pytest.approx(0.1 * student, rel=0.01)


@pytest.mark.parametrize("samples", [0, 1])
def test_nothing_is_detectable_with_fewer_than_two_samples(samples):
    assert smallest_detectable_gap(0.1, samples) == math.inf


@pytest.mark.parametrize("seed", range(3))
def test_that_many_samples_do_bring_the_detectable_gap_to_the_margin(seed):
    table, average, margin = table_of(smooth_maps(seed)(20)), MovingAverage(0.01, None, 16), 0.05

    def noise_with(total):
        return rms(noise_floor(table, np.full(8, 1.25), EPS, average, total=total))

    needed = samples_needed(noise_with(20), 20, average.effective_samples, margin)
    assert needed > 20
    assert smallest_detectable_gap(noise_with(needed), needed) == pytest.approx(margin, rel=0.01)
    assert smallest_detectable_gap(noise_with(needed // 2), needed // 2) > margin


def test_no_number_of_samples_helps_against_the_stored_average_s_own_noise():
    # At 1000 samples against 10 stored ones nearly all noise is the stored average's.
    assert samples_needed(0.3, 1000, 10.0, 0.05) is None
    assert samples_needed(0.3, 1000, 1e9, 0.05) == pytest.approx(1000 * (1.645 * 0.3 / 0.05) ** 2, rel=0.01)


@pytest.mark.parametrize(("noise", "samples"), [(math.inf, 1), (math.nan, 20), (math.inf, 20), (0.0, 20)])
def test_noise_that_is_not_known_needs_no_number_of_samples(noise, samples):
    assert samples_needed(noise, samples, 608.0, 0.25) is None
