"""The gap: numbers worked by hand, and the identity with what normalization really does to data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bncheck.core import compare, rms

REPEATABLE = settings(derandomize=True, deadline=None)


def normalized(x, mean, var, eps):
    return (x - mean) / np.sqrt(var + eps)


@REPEATABLE
@given(
    x=arrays(np.float64, (20, 3), elements=st.floats(-3, 3)),
    stored_mean=arrays(np.float64, 3, elements=st.floats(-5, 5)),
    stored_var=arrays(np.float64, 3, elements=st.floats(0, 9)),
    eps=st.sampled_from([1e-5, 1e-3, 0.1, 1.0, 10.0]),
    spread=st.sampled_from([1e-3, 0.03, 1.0, 30.0]),
)
def test_gap_is_the_rms_difference_of_the_normalized_outputs(x, stored_mean, stored_var, eps, spread):
    x = x * spread
    gap = compare(x.mean(axis=0), x.var(axis=0), stored_mean, stored_var, eps)
    by_batch = normalized(x, x.mean(axis=0), x.var(axis=0), eps)
    by_stored = normalized(x, stored_mean, stored_var, eps)
    expected = np.sqrt(((by_batch - by_stored) ** 2).mean(axis=0))
    # Where all values are equal, their deviations from the mean are rounding, which a small eps magnifies.
    rounding = 1e-15 * np.abs(x).max() / np.sqrt(eps)
    np.testing.assert_allclose(gap.gap, expected, rtol=1e-10, atol=1e-12 * np.abs(by_stored).max() + rounding)


@REPEATABLE
@given(
    x=arrays(np.float64, (20, 3), elements=st.floats(-3, 3)),
    stored_mean=arrays(np.float64, 3, elements=st.floats(-5, 5)),
    stored_var=arrays(np.float64, 3, elements=st.floats(0.01, 9)),
)
def test_unclipped_renorm_by_shift_and_scale_gives_the_inference_output(x, stored_mean, stored_var):
    gap = compare(x.mean(axis=0), x.var(axis=0), stored_mean, stored_var, 1e-3)
    renormalized = normalized(x, x.mean(axis=0), x.var(axis=0), 1e-3) * gap.scale + gap.shift
    np.testing.assert_allclose(renormalized, normalized(x, stored_mean, stored_var, 1e-3), atol=1e-10)


@pytest.mark.parametrize(
    ("measured", "stored", "eps", "shift", "scale", "gap"),
    [
        # equal statistics
        ((2.0, 4.0), (2.0, 4.0), 0.1, 0.0, 1.0, 0.0),
        # the mean alone: (5 - 1) / sqrt(4)
        ((5.0, 4.0), (1.0, 4.0), 0.0, 2.0, 1.0, 2.0),
        # the variance alone: sqrt(9 / 4)
        ((1.0, 9.0), (1.0, 4.0), 0.0, 0.0, 1.5, 0.5),
        # both: d = 3 / 1, r = 5 / 1, sqrt(9 + 16)
        ((3.0, 25.0), (0.0, 1.0), 0.0, 3.0, 5.0, 5.0),
        # a negative shift and a shrunk scale: d = -1.5 / 2, r = 0
        ((0.5, 0.0), (2.0, 4.0), 0.0, -0.75, 0.0, 0.75),
        # eps in both roots: s = sqrt(3 + 1), s_B = sqrt(8 + 1), w = 8 / 9
        ((1.0, 8.0), (0.0, 3.0), 1.0, 0.5, 1.5, np.sqrt(0.25 + 8 / 9 * 0.25)),
        # nothing stored but eps: s = 1
        ((0.0, 3.0), (0.0, 0.0), 1.0, 0.0, 2.0, np.sqrt(3 / 4)),
    ],
)
def test_numbers_worked_by_hand(measured, stored, eps, shift, scale, gap):
    found = compare(*measured, *stored, eps)
    assert found.shift == pytest.approx(shift, abs=1e-15)
    assert found.scale == pytest.approx(scale, abs=1e-15)
    assert found.gap == pytest.approx(gap, abs=1e-15)


@REPEATABLE
@given(
    mean_b=st.floats(-3, 3),
    var_b=st.floats(0.01, 9),
    mean=st.floats(-3, 3),
    var=st.floats(0.01, 9),
)
def test_without_eps_the_gap_is_wasserstein_2_in_stored_deviations(mean_b, var_b, mean, var):
    wasserstein = np.hypot(mean_b - mean, np.sqrt(var_b) - np.sqrt(var))
    assert compare(mean_b, var_b, mean, var, 0.0).gap == pytest.approx(wasserstein / np.sqrt(var), rel=1e-9, abs=1e-12)


def test_channels_are_compared_one_by_one():
    found = compare([0.0, 1.0, 0.0], [1.0, 1.0, 4.0], np.zeros(3), np.ones(3), 0.0)
    assert found.gap.tolist() == [0.0, 1.0, 1.0]
    assert found.shift.shape == found.scale.shape == found.kl.shape == (3,)


def test_batches_broadcast_against_stored_channels():
    found = compare(np.zeros((4, 2)), np.full((4, 2), 4.0), [0.0, 1.0], [1.0, 4.0], 0.0)
    np.testing.assert_allclose(found.gap, np.tile([1.0, 0.5], (4, 1)))


# Channels that hardly vary, and statistics that are no statistics


def test_dead_channels_of_different_tiny_variances_show_no_gap():
    assert compare(0.0, 1e-13, 0.0, 1e-14, 1e-5).gap < 1e-8
    assert compare(0.0, 1e-14, 0.0, 1e-13, 1e-5).gap < 1e-8
    # Without eps inside the roots the same pair would be a scale of sqrt(10).
    assert compare(0.0, 1e-13, 0.0, 1e-14, 0.0).gap == pytest.approx(np.sqrt(10) - 1)


def test_constant_input_shows_its_shift_alone():
    found = compare([0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [3.0, 3.0], 1.0)
    assert found.scale.tolist() == [0.5, 0.5]
    assert found.gap.tolist() == [0.0, 0.5]


def test_constant_input_without_eps_has_infinite_kl():
    found = compare(0.0, 0.0, 0.0, 1.0, 0.0)
    assert found.gap == 0.0
    assert found.kl == np.inf


def test_stored_variance_that_cannot_be_divided_by_gives_nan():
    found = compare(0.0, 1.0, 0.0, [-0.5, -1e-5, 0.0, -1e-6], 1e-5)
    for values in (found.shift, found.scale, found.gap, found.kl):
        assert np.isnan(values).tolist() == [True, True, False, False]


@pytest.mark.parametrize("position", range(4))
def test_nan_passes_through_to_its_channel_alone(position):
    given = np.ones((4, 2))
    given[position, 0] = np.nan
    found = compare(*given, 1e-5)
    assert np.isnan(found.gap).tolist() == [True, False]
    assert np.isnan(found.kl).tolist() == [True, False]


@pytest.mark.parametrize(("mean", "var"), [(np.inf, 1.0), (0.0, np.inf)])
def test_infinite_measurements_are_no_finite_gap(mean, var):
    assert not np.isfinite(compare(mean, var, 0.0, 1.0, 1e-5).gap)


def test_halves_are_compared_in_double_precision():
    values = [np.array([value], dtype=np.float16) for value in (1.001, 0.3, 0.9, 0.1)]
    found, expected = compare(*values, 1e-5), compare(*(value.astype(np.float64) for value in values), 1e-5)
    assert found.gap.dtype == np.float64
    assert found.gap == expected.gap


def test_a_gap_too_large_to_be_squared_is_infinite_without_a_warning():
    assert compare(1e200, 1.0, 0.0, 1.0, 1e-5).gap == np.inf


# Kullback-Leibler


def kl_by_integration(mean_b, var_b, mean, var):
    """KL of N(mean_b, var_b) from N(mean, var) by the trapezoidal rule over 12 deviations each side."""
    x, step = np.linspace(mean_b - 12 * np.sqrt(var_b), mean_b + 12 * np.sqrt(var_b), 20_001, retstep=True)

    def log_density(m, v):
        return -((x - m) ** 2) / (2 * v) - 0.5 * np.log(2 * np.pi * v)

    log_b = log_density(mean_b, var_b)
    return np.sum(np.exp(log_b) * (log_b - log_density(mean, var))) * step


@pytest.mark.parametrize(
    ("measured", "stored"), [((0.0, 1.0), (0.0, 1.0)), ((1.0, 1.0), (0.0, 1.0)), ((0.3, 2.5), (-1.0, 0.4))]
)
@pytest.mark.parametrize("eps", [0.0, 0.2])
def test_kl_of_measured_from_stored_by_numeric_integration(measured, stored, eps):
    expected = kl_by_integration(measured[0], measured[1] + eps, stored[0], stored[1] + eps)
    assert compare(*measured, *stored, eps).kl == pytest.approx(expected, abs=1e-9)


def test_kl_at_known_values():
    assert compare(1.0, 1.0, 0.0, 1.0, 0.0).kl == 0.5
    assert compare(0.0, 4.0, 0.0, 1.0, 0.0).kl == pytest.approx(1.5 - np.log(2))
    # The other direction differs: it is the measured distribution that the mean is taken over.
    assert compare(0.0, 1.0, 0.0, 4.0, 0.0).kl == pytest.approx(np.log(2) - 3 / 8)


# rms


def test_rms_worked_by_hand():
    assert rms([3.0, 4.0, 0.0, 0.0]) == 2.5
    assert rms([[3.0], [-3.0]]) == 3.0
    # The square is no number of half precision.
    assert rms(np.array([300.0], dtype=np.float16)) == 300.0


def test_rms_of_nothing_and_of_nan_is_nan():
    assert np.isnan(rms([]))
    assert np.isnan(rms([1.0, np.nan]))
