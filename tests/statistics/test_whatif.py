"""Other batch sizes: exact where all samples fill one batch, brute force elsewhere."""

import itertools
import math

import numpy as np
import pytest

from bncheck.core import Moments, SampleMoments, StoredChannels, batch_size_rows, compare, rms
from bncheck.core.whatif import BATCHES_PER_SIZE, _draw

EPS = 1e-3


def layer_of(maps, mean=0.0, var=1.0, eps=EPS):
    """Maps of shape (n, C, positions) beside stored statistics."""
    positions = maps.shape[2]
    table = SampleMoments(np.full(len(maps), float(positions)), maps.mean(axis=2), maps.var(axis=2) * positions)
    channels = np.ones(maps.shape[1])
    return StoredChannels(table, mean * channels, var * channels, eps)


def noise_maps(samples, channels=4, positions=9, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(0.3, 1.2, (samples, channels, positions)) + generator.normal(0, 0.5, (samples, channels, 1))


def test_sizes_above_the_sample_count_are_left_out():
    rows = batch_size_rows([layer_of(noise_maps(20))], [1, 16, 20, 21, 64], seed=0)
    assert [row.batch_size for row in rows] == [1, 16, 20]


def test_the_smallest_table_decides_which_sizes_there_are():
    layers = [layer_of(noise_maps(20)), layer_of(noise_maps(8))]
    assert [row.batch_size for row in batch_size_rows(layers, [4, 8, 9, 20], seed=0)] == [4, 8]


def test_sizes_come_sorted_and_once_and_no_batch_is_empty():
    rows = batch_size_rows([layer_of(noise_maps(20))], [8, 2, 8, 0, -1, 2], seed=0)
    assert [row.batch_size for row in rows] == [2, 8]


def test_no_layers_have_no_rows():
    assert batch_size_rows([], [1, 2], seed=0) == ()


def test_a_batch_of_all_samples_has_the_pooled_statistics():
    layers = [layer_of(noise_maps(30, channels=1, seed=seed), mean=0.1, var=2.0) for seed in range(2)]
    for layer in layers:
        pooled = layer.samples.pooled()
        expected = compare(pooled.mean, pooled.variance, layer.mean, layer.var, EPS)
        (row,) = batch_size_rows([layer], [30], seed=0)
        assert row.gap == pytest.approx(expected.gap[0], rel=1e-12)
        assert row.shift == pytest.approx(abs(expected.shift[0]), rel=1e-12)
        assert row.scale_low == pytest.approx(expected.scale[0], rel=1e-12)
        assert row.scale_high == pytest.approx(expected.scale[0], rel=1e-12)


def test_the_gap_of_a_layer_is_the_rms_over_its_channels():
    layer = layer_of(noise_maps(30), mean=0.1, var=2.0)
    pooled = layer.samples.pooled()
    (row,) = batch_size_rows([layer], [30], seed=0)
    expected = compare(pooled.mean, pooled.variance, layer.mean, layer.var, EPS).gap
    assert row.gap == pytest.approx(rms(expected), rel=1e-12)
    assert row.gap != pytest.approx(np.mean(expected), rel=1e-3)


def test_one_value_per_channel_and_batch_leaves_eps_alone_in_the_scale():
    values = np.random.default_rng(0).normal(size=(50, 3, 1))
    (row,) = batch_size_rows([layer_of(values, var=4.0)], [1], seed=0)
    assert row.scale_low == row.scale_high == math.sqrt(EPS) / math.sqrt(4.0 + EPS)


def test_one_value_per_channel_and_batch_has_the_values_own_size_as_its_gap():
    # Every example is mapped to beta: the output differs by all that the stored statistics would give.
    values = np.random.default_rng(0).normal(size=(16, 3, 1))
    layer = layer_of(values, mean=0.2, var=4.0)
    (row,) = batch_size_rows([layer], [1], seed=0)
    assert row.gap == pytest.approx(rms((values - 0.2) / math.sqrt(4.0 + EPS)), rel=1e-12)


@pytest.mark.parametrize(("samples", "size", "batches"), [(20, 10, 8), (63, 4, 60), (100, 4, 64), (100, 1, 64)])
def test_every_sample_is_drawn_four_times_at_most(samples, size, batches):
    drawn = _draw(np.random.default_rng(0), samples, size)
    assert len(drawn) == batches * size
    assert np.bincount(drawn).max() <= 4
    assert all(len(set(batch)) == size for batch in drawn.reshape(batches, size))


def test_gap_falls_with_the_root_of_the_batch_size():
    layer = layer_of(np.random.default_rng(0).normal(size=(4096, 4, 1)), eps=0.0)
    rows = batch_size_rows([layer], [8, 32, 128], seed=0)
    scaled = [row.gap * math.sqrt(row.batch_size) for row in rows]
    # Of independent normal values: d has variance 1 / B, r about 1 / 2B.
    assert scaled == pytest.approx([math.sqrt(1.5)] * 3, rel=0.12)


def test_percentiles_close_in_as_batches_grow():
    layer = layer_of(noise_maps(2048), mean=0.3, var=1.69)
    rows = batch_size_rows([layer], [2, 8, 32, 128], seed=0)
    assert all(row.scale_low < row.scale_high for row in rows)
    for smaller, larger in itertools.pairwise(rows):
        assert larger.shift < smaller.shift
        assert larger.scale_low > smaller.scale_low
        assert larger.scale_high < smaller.scale_high


def test_same_seed_same_rows_and_another_seed_others():
    layers = [layer_of(noise_maps(40))]
    assert batch_size_rows(layers, [2, 8], seed=3) == batch_size_rows(layers, [8, 2, 8], seed=3)
    assert batch_size_rows(layers, [2, 8], seed=3) != batch_size_rows(layers, [2, 8], seed=4)


def test_single_samples_equal_brute_force():
    # Batches of one are the samples themselves, each drawn equally often whatever the order.
    maps = noise_maps(16, channels=2)
    (row,) = batch_size_rows([layer_of(maps, mean=0.1)], [1], seed=0)
    by_sample = [Moments.of(sample.T) for sample in maps]
    expected = compare(
        [one.mean for one in by_sample], [one.variance for one in by_sample], np.full(2, 0.1), np.ones(2), EPS
    )
    assert row.gap == pytest.approx(rms(expected.gap), rel=1e-12)
    repeats = BATCHES_PER_SIZE // 16
    for found, values, percent in [
        (row.shift, np.abs(expected.shift), 95),
        (row.scale_low, expected.scale, 5),
        (row.scale_high, expected.scale, 95),
    ]:
        assert found == pytest.approx(np.percentile(np.tile(values, (repeats, 1)), percent), rel=1e-12)


def test_percentiles_are_the_5th_and_the_95th():
    # As many samples as batches, each alone: no value is there twice.
    maps = noise_maps(BATCHES_PER_SIZE, channels=1)
    (row,) = batch_size_rows([layer_of(maps)], [1], seed=0)
    expected = compare(maps.mean(axis=2), maps.var(axis=2), 0.0, 1.0, EPS)
    assert row.shift == pytest.approx(np.percentile(np.abs(expected.shift), 95), rel=1e-12)
    assert row.scale_low == pytest.approx(np.percentile(expected.scale, 5), rel=1e-12)
    assert row.scale_high == pytest.approx(np.percentile(expected.scale, 95), rel=1e-12)


def test_infinite_values_make_rows_without_a_warning():
    values = SampleMoments(np.full(8, 4.0), np.full((8, 1), np.inf), np.full((8, 1), np.inf))
    (row,) = batch_size_rows([StoredChannels(values, np.zeros(1), np.ones(1), EPS)], [1], seed=0)
    assert not math.isfinite(row.shift)
    assert not math.isfinite(row.gap)


def test_batches_are_drawn_without_replacement():
    # With replacement the largest value, drawn twice, would lift a batch's mean above every possible one.
    values = 2.0 ** np.arange(6)
    layer = StoredChannels(SampleMoments(np.ones(6), values[:, None], np.zeros((6, 1))), np.zeros(1), np.ones(1), 0.0)
    possible = [sum(chosen) / 4 for chosen in itertools.combinations(values, 4)]
    shifts = {batch_size_rows([layer], [4], seed=seed)[0].shift for seed in range(40)}
    assert len(shifts) > 3
    assert min(possible) <= min(shifts)
    assert max(shifts) <= max(possible)


def test_rows_equal_brute_force_where_every_batch_is_alike():
    # Levels -1 and 1, two samples each: any three of the four have the same variance and mean size.
    maps = np.array([-1.0, 1.0, 1.0, -1.0])[:, None, None] + np.tile([-0.5, 0.5], 2)[None, None, :]
    every = [compare(np.mean(batch), np.var(batch), 0.0, 1.0, EPS) for batch in itertools.combinations(maps[:, 0], 3)]
    (row,) = batch_size_rows([layer_of(maps)], [3], seed=0)
    for expected in every:
        assert row.gap == pytest.approx(expected.gap, rel=1e-12)
        assert row.shift == pytest.approx(abs(expected.shift), rel=1e-12)
        assert row.scale_low == pytest.approx(expected.scale, rel=1e-12)
        assert row.scale_high == pytest.approx(expected.scale, rel=1e-12)


def test_layers_count_alike_whatever_their_width():
    narrow, wide = layer_of(noise_maps(24, channels=1)), layer_of(noise_maps(24, channels=32, seed=1))
    apart = [batch_size_rows([layer], [24], seed=0)[0].gap for layer in (narrow, wide)]
    (both,) = batch_size_rows([narrow, wide], [24], seed=0)
    assert both.gap == pytest.approx(rms(apart), rel=1e-12)


def test_all_layers_see_the_same_batches():
    maps = noise_maps(40)
    once, twice = batch_size_rows([layer_of(maps)], [4], seed=0), batch_size_rows([layer_of(maps)] * 2, [4], seed=0)
    assert once[0].gap == pytest.approx(twice[0].gap, rel=1e-12)
    assert once[0].shift == pytest.approx(twice[0].shift, rel=0.02)
