"""Moments: the merge's algebra, its exactness at large offsets, and every divisor by its name."""

import functools
import operator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bncheck.core import InstanceMoments, Moments, SampleMoments

CHANNELS = 3
REPEATABLE = settings(derandomize=True, deadline=None)


@st.composite
def values(draw, least=0, most=9):
    """Rows of values, (n, CHANNELS), at offsets from nothing to a million standard deviations."""
    offset = draw(st.sampled_from([0.0, 1.0, -50.0, 1e3, 1e6]))
    spread = draw(st.sampled_from([1e-2, 1.0, 1e3]))
    shape = (draw(st.integers(least, most)), CHANNELS)
    return offset + spread * draw(arrays(np.float64, shape, elements=st.floats(-3, 3)))


def assert_same_moments(actual, expected):
    """Equal but for float64 rounding of values as large as the mean."""
    assert actual.count == expected.count
    size = np.abs(expected.mean) + np.sqrt(expected.m2 / max(expected.count, 1))
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=0, atol=1e-14 * size.max() + 1e-300)
    # A mean that is off by its rounding adds count * rounding^2, and the values' own rounding doubles it.
    atol = expected.count * (1e-14 * size) ** 2 + 1e-14 * size * np.sqrt(expected.m2 * expected.count)
    assert np.all(np.abs(actual.m2 - expected.m2) <= 1e-12 * expected.m2 + atol)


def by_numpy(array):
    return Moments(float(len(array)), array.mean(axis=0), array.var(axis=0) * len(array))


@REPEATABLE
@given(values(1))
def test_moments_of_values_equal_numpy(array):
    assert_same_moments(Moments.of(array), by_numpy(array))


@REPEATABLE
@given(values(), values())
def test_merging_equals_numpy_on_the_concatenation(a, b):
    together = np.concatenate([a, b])
    if len(together):
        assert_same_moments(Moments.of(a) + Moments.of(b), by_numpy(together))


@REPEATABLE
@given(values(), values(), values())
def test_merging_is_associative(a, b, c):
    a, b, c = Moments.of(a), Moments.of(b), Moments.of(c)
    assert_same_moments((a + b) + c, a + (b + c))


@REPEATABLE
@given(values(), values())
def test_merging_is_commutative(a, b):
    assert_same_moments(Moments.of(a) + Moments.of(b), Moments.of(b) + Moments.of(a))


@REPEATABLE
@given(values())
def test_empty_moments_are_neutral_exactly(array):
    moments, nothing = Moments.of(array), Moments.empty(CHANNELS)
    for merged in (moments + nothing, nothing + moments):
        assert merged.count == moments.count
        np.testing.assert_array_equal(merged.mean, moments.mean)
        np.testing.assert_array_equal(merged.m2, moments.m2)


@REPEATABLE
@given(st.lists(values(1, 5), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_merging_gives_the_same(parts, random):
    shuffled = list(parts)
    random.shuffle(shuffled)
    merged = functools.reduce(operator.add, map(Moments.of, shuffled))
    assert_same_moments(merged, by_numpy(np.concatenate(parts)))


def test_moments_of_no_values_are_empty():
    moments = Moments.of(np.zeros((0, CHANNELS)))
    assert moments.count == 0
    assert moments.mean.shape == moments.m2.shape == (CHANNELS,)


def test_mean_1e6_sd_1e_2_keeps_the_variance_to_nine_digits():
    array = 1e6 + 1e-2 * np.random.default_rng(0).standard_normal((4000, 2))
    merged = functools.reduce(operator.add, (Moments.of(part) for part in np.array_split(array, 37)))
    np.testing.assert_allclose(merged.variance, array.var(axis=0), rtol=1e-8)
    np.testing.assert_allclose(merged.variance, 1e-4, rtol=0.1)


def test_mean_1000_sd_0_1_where_a_difference_of_squares_in_float32_returns_0():
    array = np.array([999.9, 1000.1] * 4, dtype=np.float32)
    assert np.mean(array**2) - np.mean(array) ** 2 == np.float32(0.0)
    merged = functools.reduce(operator.add, (Moments.of(part[:, None]) for part in np.array_split(array, 3)))
    assert merged.variance.round(4).tolist() == [0.01]


def test_biased_variance_divides_by_n_and_unbiased_by_n_minus_1():
    moments = Moments.of([[1.0], [2.0], [6.0]])
    assert moments.mean.tolist() == [3.0]
    assert moments.m2.tolist() == [14.0]
    assert moments.variance.tolist() == [14.0 / 3]
    assert moments.unbiased_variance.tolist() == [7.0]


def test_one_value_has_variance_0_and_no_unbiased_one():
    moments = Moments.of([[5.0, -1.0]])
    assert moments.variance.tolist() == [0.0, 0.0]
    assert np.isnan(moments.unbiased_variance).tolist() == [True, True]


def test_no_values_have_no_variance():
    nothing = Moments.empty(2)
    assert np.isnan(nothing.variance).tolist() == [True, True]
    assert np.isnan(nothing.unbiased_variance).tolist() == [True, True]


def test_what_is_not_finite_stays_in_its_channel():
    merged = Moments.of([[1.0, np.inf, 2.0], [3.0, 4.0, np.nan]]) + Moments.of([[5.0, np.inf, 6.0]])
    assert np.isfinite(merged.variance).tolist() == [True, False, False]
    assert merged.variance[0] == pytest.approx(8 / 3)


# Samples apart


def samples_of(arrays_by_sample):
    """The table of samples given as arrays (positions, C), and all their values."""
    parts = [Moments.of(array) for array in arrays_by_sample]
    table = SampleMoments(
        np.array([part.count for part in parts]),
        np.stack([part.mean for part in parts]),
        np.stack([part.m2 for part in parts]),
    )
    return table, np.concatenate(arrays_by_sample)


def drawn(counts, seed=0, offset=0.0):
    """Samples whose means and spreads differ, so that both parts of the variance count."""
    generator = np.random.default_rng(seed)
    return [
        offset + generator.normal(0, 2, CHANNELS) + generator.uniform(0.5, 2) * generator.normal(size=(n, CHANNELS))
        for n in counts
    ]


@REPEATABLE
@given(st.lists(values(1, 6), min_size=1, max_size=8))
def test_pooled_equals_numpy_over_all_values_whatever_the_counts(by_sample):
    table, every = samples_of(by_sample)
    assert_same_moments(table.pooled(), by_numpy(every))


def test_pooled_keeps_large_offsets():
    table, every = samples_of(drawn([5, 1, 30, 8], offset=1e6))
    np.testing.assert_allclose(table.pooled().variance, every.var(axis=0), rtol=1e-9)


def test_pooled_variance_contains_the_spread_between_samples_which_the_mean_of_variances_drops():
    by_sample = drawn([16] * 12)
    table, every = samples_of(by_sample)
    for size, at_most in ((1, 0.7), (2, 0.9), (4, 1.0)):
        _, variances = table.batches(np.arange(12), size)
        means, _ = table.batches(np.arange(12), size)
        averaged = variances.mean(axis=0)
        assert np.all(averaged < at_most * every.var(axis=0))
        np.testing.assert_allclose(averaged + means.var(axis=0), every.var(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table.pooled().variance, every.var(axis=0), rtol=1e-12)


def test_pooled_table_of_no_samples_is_empty():
    pooled = samples_of(drawn([4]))[0].take(np.array([], dtype=np.intp)).pooled()
    assert pooled.count == 0
    assert np.isnan(pooled.variance).all()


def test_pooled_keeps_what_is_not_finite_in_its_channel():
    by_sample = drawn([4, 4, 4])
    by_sample[1][2, 0] = np.inf
    by_sample[2][0, 1] = np.nan
    with np.errstate(invalid="ignore"):
        table, every = samples_of(by_sample)
    pooled = table.pooled()
    assert np.isfinite(pooled.variance).tolist() == [False, False, True]
    assert pooled.variance[2] == pytest.approx(every[:, 2].var())


def test_merged_rows_are_the_moments_of_their_values_together():
    by_sample = drawn([3, 5, 2, 7, 4, 6])
    merged = samples_of(by_sample)[0].merge_rows(3)
    expected, _ = samples_of([np.concatenate(by_sample[:3]), np.concatenate(by_sample[3:])])
    assert merged.count.tolist() == [10.0, 17.0]
    np.testing.assert_allclose(merged.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.m2, expected.m2, rtol=1e-12)


def test_merging_single_rows_changes_nothing():
    table, _ = samples_of(drawn([3, 5]))
    assert table.merge_rows(1) is table


def test_concatenated_tables_keep_order_and_counts():
    first, second = samples_of(drawn([3, 5]))[0], samples_of(drawn([2], seed=1))[0]
    whole = SampleMoments.concatenate([first, second])
    assert len(whole) == 3
    assert whole.channels == CHANNELS
    assert whole.count.tolist() == [3.0, 5.0, 2.0]
    np.testing.assert_array_equal(whole.mean, np.concatenate([first.mean, second.mean]))
    np.testing.assert_array_equal(whole.m2, np.concatenate([first.m2, second.m2]))


def test_batches_equal_brute_force_in_the_order_given():
    by_sample = drawn([6, 2, 9, 4, 1, 7, 3])
    order = np.array([5, 0, 3, 6, 2, 1, 4])
    means, variances = samples_of(by_sample)[0].batches(order, 3)
    chosen = [np.concatenate([by_sample[index] for index in order[start : start + 3]]) for start in (0, 3)]
    assert means.shape == variances.shape == (2, CHANNELS)
    np.testing.assert_allclose(means, [batch.mean(axis=0) for batch in chosen], rtol=1e-12)
    np.testing.assert_allclose(variances, [batch.var(axis=0) for batch in chosen], rtol=1e-12)


def test_batches_larger_than_the_table_are_none():
    means, variances = samples_of(drawn([4, 4]))[0].batches(np.arange(2), 3)
    assert means.shape == variances.shape == (0, CHANNELS)


# InstanceNorm's averages


def image_table(images):
    """Table of (N, C, H, W) images."""
    return samples_of([image.reshape(len(image), -1).T for image in images])[0]


def brightness_images(samples, size, seed=0):
    """Images whose means differ far more than their pixels do."""
    generator = np.random.default_rng(seed)
    between = generator.normal(0, 5, (samples, CHANNELS, 1, 1))
    return between + generator.normal(0, 1, (samples, CHANNELS, size, size))


@pytest.mark.parametrize("size", [2, 7])
def test_instances_are_what_torch_instance_norm_stores(size):
    images = brightness_images(8, size)
    layer = torch.nn.InstanceNorm2d(CHANNELS, track_running_stats=True, momentum=1.0, dtype=torch.float64)
    layer.train()(torch.from_numpy(images))
    instances = image_table(images).instances()
    assert instances.count == 8
    np.testing.assert_allclose(instances.mean, layer.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(instances.variance, layer.running_var.numpy(), rtol=1e-12)


def test_instance_variance_leaves_out_the_spread_between_samples():
    table = image_table(brightness_images(40, 6))
    assert np.all(table.instances().variance < 0.1 * table.pooled().variance)


def test_instances_of_two_tables_merge_to_those_of_both():
    table = image_table(brightness_images(9, 4))
    first, second = table.take(np.arange(2)), table.take(np.arange(2, 9))
    merged, whole = first.instances() + second.instances(), table.instances()
    assert merged.count == whole.count == 9
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.variance, whole.variance, rtol=1e-12)


def test_empty_instances_are_neutral_exactly():
    instances, nothing = image_table(brightness_images(3, 4)).instances(), InstanceMoments.empty(CHANNELS)
    for merged in (instances + nothing, nothing + instances):
        assert merged.count == 3
        np.testing.assert_array_equal(merged.mean, instances.mean)
        np.testing.assert_array_equal(merged.variance, instances.variance)
    assert (nothing + nothing).count == 0


def test_a_table_of_no_samples_adds_nothing_to_the_instances():
    table = image_table(brightness_images(3, 4))
    merged = table.instances() + table.take(np.array([], dtype=np.intp)).instances()
    np.testing.assert_array_equal(merged.variance, table.instances().variance)


def test_samples_of_one_value_count_as_variance_0():
    instances = samples_of([np.full((1, CHANNELS), 3.0), np.array([[1.0] * CHANNELS, [3.0] * CHANNELS])])[0].instances()
    assert instances.mean.tolist() == [2.5] * CHANNELS
    assert instances.variance.tolist() == [1.0] * CHANNELS
