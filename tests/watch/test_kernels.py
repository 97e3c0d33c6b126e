"""The kernels against float64 on the same values, in every layout, precision and size they choose by."""

import math

import numpy as np
import pytest
import torch

from bncheck.core import SampleMoments
from bncheck.watch import kernels
from bncheck.watch.kernels import batch_moments, sample_moments

PROMISE = 1e-5
RATIOS = {
    torch.float16: (0, 1, 1.9, 3, 10, 100),
    torch.bfloat16: (0, 1, 1.9, 3, 10),
    torch.float32: (0, 1, 1.9, 3, 10, 100, 1e3, 1e4),
    torch.float64: (0, 1, 1.9, 3, 10, 100, 1e3, 1e4),
}
"""Means in standard deviations, as far as each precision can tell the values apart."""

SHAPES = [
    (16, 24),
    (6, 24, 50),
    (3, 24, 1009),
    (5, 24, 1, 1),
    (16, 24, 2, 2),
    (1, 24, 7, 7),
    (7, 24, 14, 13),
    (2, 24, 3, 4, 5),
]
LARGE_SHAPES = [
    # 2731 is prime: no even strands.
    (2, 24, 2731),
    (2, 24, 56, 56),
    (1, 24, 112, 112),
    (2, 24, 6, 22, 22),
]
LAYOUTS = ["contiguous", "channels_last", "sliced", "transposed"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """One thread adds the longest runs, so that errors are the largest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def laid_out(x, layout):
    """The same values in another memory order."""
    match layout:
        case "channels_last":
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        case "sliced":
            x = torch.stack([x, torch.full_like(x, math.nan)], dim=-1).flatten(-2)[..., ::2]
        case "transposed":
            x = x.transpose(0, 1).contiguous().transpose(0, 1)
    return x


def standardized(values):
    return (values - values.mean(axis=(0, 2), keepdims=True)) / values.std(axis=(0, 2), keepdims=True)


def mixed_channels(shape, dtype, seed=0):
    """Channels of every ratio of mean to deviation, of three kinds, as a tensor of `shape`."""
    generator = np.random.default_rng(seed)
    samples, channels = shape[:2]
    positions = math.prod(shape[2:])
    normal = generator.standard_normal((samples, channels, positions))
    # Values that repeat round the same way time after time.
    few = np.where(generator.random(normal.shape) < 0.3, 2.0, 0.0)
    few[:, :, 0] = generator.standard_normal((samples, channels))
    # Samples that differ as a whole, far more than the values within one.
    between = normal + 30 * generator.standard_normal((samples, channels, 1))
    kinds = np.arange(channels) % 3
    values = np.choose(kinds[None, :, None], [normal, few, between])
    if samples > 1 or positions > 1:
        values = standardized(values)
    ratios = np.resize(np.repeat(RATIOS[dtype], 3), channels).astype(float)
    # What lies within a sample is told from its mean by the same precision.
    ratios = np.where(kinds == 2, np.minimum(ratios, 10), ratios)
    spread = generator.uniform(0.3, 3, channels)
    values = (values + ratios[:, None]) * spread[:, None]
    return torch.from_numpy(values.reshape(shape)).to(dtype)


class Reference:
    """Float64 moments of a tensor's values."""

    def __init__(self, x):
        values = x.double().numpy().reshape(*x.shape[:2], -1)
        self.positions = values.shape[2]
        self.sample_mean = values.mean(axis=2)
        self.sample_m2 = ((values - self.sample_mean[:, :, None]) ** 2).sum(axis=2)
        self.mean = values.mean(axis=(0, 2))
        self.variance = ((values - self.mean[:, None]) ** 2).mean(axis=(0, 2))
        self.within = self.sample_m2.mean(axis=0) / self.positions
        self.size = np.maximum(np.abs(self.mean), np.sqrt(self.variance))


def assert_close(actual, expected, size, layout="as given"):
    """Within the promise of `size`, which says 0 where the value must be exact."""
    assert np.all(np.abs(actual - expected) <= PROMISE * size), (np.max(np.abs(actual - expected) / size), layout)


def assert_promise_kept(x, layout="as given"):
    expected, table, batch = Reference(x), sample_moments(x), batch_moments(x)
    assert table.count.tolist() == [expected.positions] * len(x)
    sample_size = np.maximum(np.abs(expected.sample_mean), np.sqrt(expected.variance))
    assert_close(table.mean, expected.sample_mean, sample_size, layout)
    assert_close(table.m2.mean(axis=0) / expected.positions, expected.within, expected.within, layout)
    for moments in (table.pooled(), batch):
        assert moments.count == len(x) * expected.positions
        assert_close(moments.mean, expected.mean, expected.size, layout)
        assert_close(moments.variance, expected.variance, expected.variance, layout)


# The promise


def test_the_large_shapes_and_only_they_are_read_a_sample_at_a_time():
    assert all(math.prod(shape[1:]) >= kernels.LARGE_SAMPLE for shape in LARGE_SHAPES)
    assert all(math.prod(shape[1:]) < kernels.LARGE_SAMPLE for shape in SHAPES)


@pytest.mark.parametrize("dtype", RATIOS, ids=str)
@pytest.mark.parametrize("shape", SHAPES + LARGE_SHAPES, ids=str)
def test_moments_are_within_1e_5_of_float64(shape, dtype):
    values = mixed_channels(shape, dtype)
    for layout in LAYOUTS:
        assert_promise_kept(laid_out(values, layout), layout)


@pytest.mark.parametrize("ratio", [0, 1, 3, 10, 100, 1e3, 1e4])
@pytest.mark.parametrize("shape", [(4, 6, 20, 20), (2, 6, 112, 112)], ids=str)
def test_moments_are_within_1e_5_where_all_channels_are_alike(shape, ratio):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for layout in LAYOUTS:
        assert_promise_kept(laid_out((ratio + values).float(), layout), layout)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_a_million_values_that_round_alike_do_not_add_up_to_an_error(layout, dtype):
    generator = torch.Generator().manual_seed(0)
    rare = torch.rand((1, 2, 512, 512), generator=generator) < 0.05
    assert_promise_kept(laid_out((0.7 + 0.37 * rare).to(dtype), layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [8, 40])
def test_mean_1000_sd_0_1_has_variance_0_01(size, layout):
    values = torch.randn((2, 48, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = (values - values.mean((0, 2, 3), keepdim=True)) / values.std((0, 2, 3), correction=0, keepdim=True)
    x = laid_out((1000 + 0.1 * values).float(), layout)
    for moments in (sample_moments(x).pooled(), batch_moments(x)):
        np.testing.assert_allclose(moments.variance, Reference(x).variance, rtol=PROMISE)
        assert moments.variance.round(4).tolist() == [0.01] * 48


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [6, 60])
def test_constant_channels_vary_by_no_more_than_rounding_beside_others_that_do(size, layout, dtype):
    values = torch.randn((3, 24, size, size), generator=torch.Generator().manual_seed(0), dtype=dtype)
    constants = torch.tensor([0.0, 1e-7, 0.1, -3.3, 1000.1, 3e5])
    values[:, :6] = constants.to(dtype)[:, None, None]
    moments = batch_moments(laid_out(values, layout))
    assert moments.variance[0] == 0.0
    np.testing.assert_allclose(moments.mean[:6], constants.double().numpy(), rtol=PROMISE)
    assert np.all(moments.variance[:6] <= 1e-16 * constants.double().numpy() ** 2)
    np.testing.assert_allclose(moments.variance[6:], Reference(values).variance[6:], rtol=PROMISE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_channels_constant_within_a_sample_vary_between_samples_alone(layout):
    levels = torch.tensor([3.0, 5.0, 10.0])[:, None, None, None].expand(3, 4, 5, 5)
    table = sample_moments(laid_out(levels.clone(), layout))
    assert table.m2.max() == 0.0
    np.testing.assert_allclose(table.pooled().variance, np.var([3.0, 5.0, 10.0]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [9, 60])
def test_no_sum_of_squared_deviations_is_negative_where_some_samples_are_constant(size, layout):
    values = torch.randn((16, 24, size, size), generator=torch.Generator().manual_seed(0))
    values[::2] = torch.linspace(0.1, 0.7, 24)[:, None, None]
    assert np.all(sample_moments(laid_out(values, layout)).m2 >= 0)


# Sizes at the edge


@pytest.mark.parametrize("shape", [(6, 24), (6, 24, 1), (6, 24, 1, 1)], ids=str)
@pytest.mark.parametrize("dtype", RATIOS, ids=str)
def test_one_value_a_sample_is_its_mean_exactly(shape, dtype):
    x = mixed_channels(shape, dtype)
    table = sample_moments(x)
    assert table.count.tolist() == [1.0] * 6
    np.testing.assert_array_equal(table.mean, x.double().numpy().reshape(6, 24))
    assert table.m2.shape == (6, 24)
    assert not table.m2.any()


@pytest.mark.parametrize("shape", [(1, 24), (1, 24, 5), (1, 24, 5, 5), (1, 24, 60, 60), (1, 24, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_batch_of_one_is_its_only_sample(shape, layout):
    x = laid_out(mixed_channels(shape, torch.float32), layout)
    table, batch = sample_moments(x), batch_moments(x)
    assert batch.count == math.prod(shape[2:])
    np.testing.assert_array_equal(batch.mean, table.mean[0])
    np.testing.assert_array_equal(batch.m2, table.m2[0])


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4)], ids=str)
def test_batch_of_none_is_empty(shape):
    assert len(sample_moments(torch.zeros(shape))) == 0
    assert sample_moments(torch.zeros(shape)).channels == 3
    assert batch_moments(torch.zeros(shape)).count == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(11, 24, 9, 9), (5, 24, 56, 56)], ids=str)
def test_batches_with_a_ragged_last_one_merge_to_the_whole(shape, layout):
    x = laid_out(mixed_channels(shape, torch.float32), layout)
    expected, parts = Reference(x), x.split(4)
    assert len(parts[-1]) < 4
    merged = sum((batch_moments(part) for part in parts[1:]), batch_moments(parts[0]))
    table = SampleMoments.concatenate([sample_moments(part) for part in parts])
    for moments in (merged, table.pooled()):
        assert moments.count == len(x) * expected.positions
        assert_close(moments.mean, expected.mean, expected.size)
        assert_close(moments.variance, expected.variance, expected.variance)


# What is not finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4, 24), (4, 24, 5, 5), (4, 24, 60, 60)], ids=str)
def test_what_is_not_finite_stays_in_its_sample_and_channel(shape, layout, value):
    x = mixed_channels(shape, torch.float32)
    expected = Reference(x)
    x[2, 5].view(-1)[0] = value
    x = laid_out(x, layout)
    table = sample_moments(x)
    struck = np.zeros((4, 24), dtype=bool)
    struck[2, 5] = True
    np.testing.assert_array_equal(~np.isfinite(table.mean), struck)
    for moments in (table.pooled(), batch_moments(x)):
        np.testing.assert_array_equal(~np.isfinite(moments.mean), struck.any(axis=0))
        np.testing.assert_array_equal(~np.isfinite(moments.variance), struck.any(axis=0))
        others = np.arange(24) != 5
        assert_close(moments.variance[others], expected.variance[others], expected.variance[others])


def test_half_precision_sums_do_not_overflow():
    x = torch.full((2, 3, 64, 64), 6e4, dtype=torch.float16)
    assert_promise_kept(torch.cat([x, -x]))


# The caller's tensor


@pytest.mark.parametrize("dtype", RATIOS, ids=str)
@pytest.mark.parametrize("shape", [(4, 24), (4, 24, 1, 1), (4, 24, 5, 5), (2, 24, 60, 60)], ids=str)
def test_moments_keep_nothing_of_the_input_and_leave_it_as_it_was(shape, dtype):
    for layout in LAYOUTS:
        x = laid_out(mixed_channels(shape, dtype), layout)
        before = x.clone()
        table, batch = sample_moments(x), batch_moments(x)
        assert torch.equal(x, before), layout
        kept = [array.copy() for array in (table.mean, table.m2, batch.mean, batch.m2)]
        x.zero_()
        for array, copy in zip((table.mean, table.m2, batch.mean, batch.m2), kept, strict=True):
            assert array.dtype == np.float64
            np.testing.assert_array_equal(array, copy, err_msg=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [5, 60])
def test_inference_tensors_and_tensors_with_gradients_are_read_alike(size, layout):
    x = laid_out(mixed_channels((2, 24, size, size), torch.float32), layout)
    expected = sample_moments(x)
    with torch.inference_mode():
        inference = sample_moments(x.clone(memory_format=torch.preserve_format))
    for table in (inference, sample_moments(x.detach().requires_grad_())):
        np.testing.assert_allclose(table.mean, expected.mean, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(table.m2, expected.m2, rtol=1e-5)


# Accelerators


def test_the_reduction_for_accelerators_divides_by_nothing():
    x = mixed_channels((3, 24, 5, 6), torch.float64)
    expected = Reference(x)
    mean, m2 = kernels._by_variance(x)
    np.testing.assert_allclose(mean, expected.sample_mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(m2, expected.sample_m2, rtol=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_moments_on_a_gpu_are_within_1e_5_of_float64():
    for shape in SHAPES + LARGE_SHAPES:
        for layout in LAYOUTS:
            for dtype in RATIOS:
                x = laid_out(mixed_channels(shape, dtype), layout)
                expected, moments = Reference(x), batch_moments(x.cuda())
                assert_close(moments.mean, expected.mean, expected.size)
                assert_close(moments.variance, expected.variance, expected.variance)
