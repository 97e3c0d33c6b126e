"""Are batches random draws: the variance ratio by hand, its calibration, and what it must not be troubled by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.core import THRESHOLDS, Exchangeability, exchangeability


def drawn(batches: int, size: int, channels: int, between: float, seed: int = 0) -> np.ndarray:
    """Sample means whose batches share a random offset of standard deviation `between`."""
    generator = np.random.default_rng(seed)
    offsets = between * generator.standard_normal((batches, 1, channels))
    return (generator.standard_normal((batches, size, channels)) + offsets).reshape(batches * size, channels)


def test_the_ratio_is_that_of_the_analysis_of_variance() -> None:
    values = drawn(20, 4, 1, 1.0)
    groups = values.reshape(20, 4)
    between = 4 * groups.mean(axis=1).var(ddof=1)
    within = groups.var(axis=1, ddof=1).mean()
    found = exchangeability({"norm": values}, 20, 4, seed=0)
    assert found is not None
    assert found.ratio == pytest.approx(between / within)
    assert found.effective_size == pytest.approx(1 + 3 / found.ratio)


def variance_ratio(values: np.ndarray, batches: int) -> float:
    """F of the analysis of variance, averaged over the channels of samples in order."""
    groups = values.reshape(batches, -1, values.shape[1])
    between = groups.shape[1] * groups.mean(axis=1).var(axis=0, ddof=1)
    return float(np.mean(between / groups.var(axis=1, ddof=1).mean(axis=0)))


def test_what_random_batches_give_is_the_largest_over_layers_of_batches_rearranged() -> None:
    layers = {"one": drawn(8, 8, 2, 0.3), "other": drawn(8, 8, 3, 0.3, seed=1)}
    found = exchangeability(layers, 8, 8, seed=5)
    assert found is not None
    generator = np.random.default_rng(5)
    orders = [generator.permutation(64) for _ in range(THRESHOLDS.rearrangements)]
    largest = [max(variance_ratio(values[order], 8) for values in layers.values()) for order in orders]
    assert found.random == pytest.approx(np.mean(largest))
    assert found.random_spread == pytest.approx(np.std(largest, ddof=1))


@pytest.mark.parametrize(
    ("changes", "is_grouped"),
    [
        ({}, True),
        ({"random": 2.0, "random_spread": (5.0 - 2.0) / THRESHOLDS.beyond_random}, False),
        ({"ratio": THRESHOLDS.ratio, "batch_size": 2, "random": 0.0}, False),
        ({"batch_size": round(4.0 * (1 - THRESHOLDS.correlation) / THRESHOLDS.correlation)}, False),
    ],
)
def test_batches_are_grouped_only_beyond_each_limit(changes: dict[str, float], is_grouped: bool) -> None:
    values = {"batches": 10, "batch_size": 4, "ratio": 5.0, "layer": "norm", "random": 1.0, "random_spread": 0.0}
    assert Exchangeability(**(values | changes)).is_grouped is is_grouped  # type: ignore[arg-type]


def test_the_correlation_is_the_share_of_the_variance_between_batches() -> None:
    found = exchangeability({"norm": drawn(400, 8, 16, 0.5)}, 400, 8, seed=0)
    assert found is not None
    assert found.correlation == pytest.approx(0.25 / 1.25, abs=0.02)


def test_the_layer_where_batches_differ_most_is_named() -> None:
    layers = {"first": drawn(20, 8, 4, 0.0), "second": drawn(20, 8, 4, 2.0, seed=1), "third": drawn(20, 8, 4, 0.5)}
    found = exchangeability(layers, 20, 8, seed=0)
    assert found is not None
    assert found.layer == "second"


@pytest.mark.parametrize(("batches", "size"), [(32, 2), (16, 4), (8, 16), (64, 8)])
def test_random_batches_stay_within_what_random_batches_give(batches: int, size: int) -> None:
    """The limit that counts, five standard deviations of the rearrangements, is not reached in 200 draws."""
    beyond = 0
    for seed in range(200):
        layers = {str(number): drawn(batches, size, 6, 0.0, seed=10 * seed + number) for number in range(3)}
        found = exchangeability(layers, batches, size, seed)
        assert found is not None
        beyond += found.ratio > found.random + 5 * found.random_spread
    assert beyond == 0


@pytest.mark.parametrize("size", [2, 4, 16])
def test_grouped_batches_lie_far_beyond_it(size: int) -> None:
    found = exchangeability({"norm": drawn(64, size, 8, 1.0)}, 64, size, seed=0)
    assert found is not None
    assert found.ratio > found.random + 5 * found.random_spread
    assert found.correlation == pytest.approx(0.5, abs=0.15)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_neither_offset_nor_unit_matters(offset: float, unit: float) -> None:
    values = drawn(20, 5, 3, 0.7)
    one = exchangeability({"norm": values}, 20, 5, seed=0)
    other = exchangeability({"norm": offset + unit * values}, 20, 5, seed=0)
    assert one is not None
    assert other is not None
    assert other.ratio == pytest.approx(one.ratio, rel=1e-4)


def test_channels_of_tiny_numbers_vary_and_rounding_does_not() -> None:
    values = drawn(20, 5, 3, 0.7)
    one = exchangeability({"norm": values}, 20, 5, seed=0)
    tiny = exchangeability({"norm": 1e-12 * values}, 20, 5, seed=0)
    constant = np.full((100, 2), 1e6 / 3)
    constant[::7] = np.nextafter(constant[0, 0], 0)
    beside = exchangeability({"norm": np.concatenate([values, constant], axis=1)}, 20, 5, seed=0)
    assert one is not None
    assert tiny is not None
    assert beside is not None
    assert tiny.ratio == pytest.approx(one.ratio)
    assert beside.ratio == one.ratio


def test_batches_without_any_variance_within_have_a_large_ratio_and_no_infinite_one() -> None:
    found = exchangeability({"norm": drawn(20, 1, 2, 0.0).repeat(5, axis=0)}, 20, 5, seed=0)
    assert found is not None
    assert found.ratio == pytest.approx((100 / 19) / (1e-9 * 100 / 80))


def test_dead_and_broken_channels_are_left_out() -> None:
    values = drawn(20, 5, 3, 0.7)
    dead, broken = np.full((100, 1), 3.0), np.full((100, 1), np.nan)
    spoiled = np.concatenate([values, dead, broken, values, 1e200 * values], axis=1)
    spoiled[7, 4:8] = np.inf
    one = exchangeability({"norm": values}, 20, 5, seed=0)
    other = exchangeability({"norm": spoiled, "dead": np.zeros((100, 2))}, 20, 5, seed=0)
    assert one is not None
    assert other is not None
    assert other.ratio == pytest.approx(one.ratio)


def test_half_precision_is_no_coarser_than_its_values() -> None:
    values = (100 + drawn(20, 5, 3, 0.7)).astype(np.float16)
    one, other = (exchangeability({"norm": as_}, 20, 5, seed=0) for as_ in (values, values.astype(np.float64)))
    assert one == other


def test_as_few_as_can_be_compared() -> None:
    assert exchangeability({"norm": drawn(8, 8, 3, 1.0)}, 8, 8, seed=0) is not None
    assert exchangeability({"norm": drawn(32, 2, 3, 1.0)}, 32, 2, seed=0) is not None


@pytest.mark.parametrize(("batches", "size"), [(7, 16), (100, 1), (15, 4)])
def test_too_few_to_compare(batches: int, size: int) -> None:
    assert exchangeability({"norm": drawn(batches, size, 3, 1.0)}, batches, size, seed=0) is None


def test_where_nothing_varies_there_is_nothing_to_say() -> None:
    assert exchangeability({"norm": np.ones((64, 3))}, 8, 8, seed=0) is None
    assert exchangeability({}, 8, 8, seed=0) is None
