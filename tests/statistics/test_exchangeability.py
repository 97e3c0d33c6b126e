"""Are batches random draws: the variance ratio by hand, its calibration, and what it must not be troubled by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.core import exchangeability


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


def test_dead_and_broken_channels_are_left_out() -> None:
    values = drawn(20, 5, 3, 0.7)
    spoiled = np.concatenate([values, np.full((100, 1), 3.0), np.full((100, 1), np.nan)], axis=1)
    spoiled[7, 4] = np.inf
    one = exchangeability({"norm": values}, 20, 5, seed=0)
    other = exchangeability({"norm": spoiled, "dead": np.zeros((100, 2))}, 20, 5, seed=0)
    assert one is not None
    assert other is not None
    assert other.ratio == pytest.approx(one.ratio)


@pytest.mark.parametrize(("batches", "size"), [(7, 16), (100, 1), (15, 4)])
def test_too_few_to_compare(batches: int, size: int) -> None:
    assert exchangeability({"norm": drawn(batches, size, 3, 1.0)}, batches, size, seed=0) is None


def test_where_nothing_varies_there_is_nothing_to_say() -> None:
    assert exchangeability({"norm": np.ones((64, 3))}, 8, 8, seed=0) is None
    assert exchangeability({}, 8, 8, seed=0) is None
