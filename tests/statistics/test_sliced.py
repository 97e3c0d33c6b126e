"""Moments by slice, by hand and against those of all samples; how sure a slice's gap is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncheck.core import (
    FloatArray,
    MovingAverage,
    SampleMoments,
    SliceMoments,
    noise_floor,
    rms,
    slice_gap,
    sure_of_slice,
)

CHANNELS = 3
CENTRE = np.array([0.5, -100.0, 0.0])
STORED = (CENTRE, np.array([1.0, 4.0, 0.25]), 1e-5)
AVERAGE = MovingAverage(0.1, None, 32)


def table(seed: int, samples: int, *, even: bool = True) -> SampleMoments:
    rng = np.random.default_rng(seed)
    count = np.full(samples, 9.0) if even else rng.integers(1, 20, samples).astype(float)
    return SampleMoments(
        count, CENTRE + rng.normal(size=(samples, CHANNELS)), count[:, None] * rng.uniform(0.1, 2, (samples, CHANNELS))
    )


def sliced(rows: SampleMoments, codes: list[int], *, instance: bool = False) -> SliceMoments:
    present, moments = SliceMoments.of(rows, np.array(codes), CENTRE, instance=instance)
    whole = SliceMoments.empty(max(codes) + 1, CHANNELS)
    whole.put(present, moments)
    return whole


def variance(moments: SliceMoments, code: int) -> FloatArray:
    return slice_gap(moments.at(slice(code, code + 1)), CENTRE, STORED, AVERAGE).var


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), min_size=2, max_size=40), st.integers(1, 39))
def test_merged_or_not_every_slice_has_the_moments_of_its_samples(seed: int, codes: list[int], cut: int) -> None:
    rows = table(seed, len(codes), even=False)
    cut = min(cut, len(codes) - 1)
    parts = [(rows.take(np.arange(cut)), codes[:cut]), (rows.take(np.arange(cut, len(codes))), codes[cut:])]
    merged = SliceMoments.empty(4, CHANNELS)
    for part, own in parts:
        present, moments = SliceMoments.of(part, np.array(own), CENTRE)
        merged.put(present, merged.at(present) + moments)
    for code in set(codes):
        alone = rows.take(np.flatnonzero(np.array(codes) == code)).pooled()
        assert merged.samples[code] == codes.count(code)
        np.testing.assert_allclose(merged.mean[code], alone.mean, rtol=1e-12)
        np.testing.assert_allclose(variance(merged, code), alone.variance, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("instance", [False, True])
def test_the_noise_is_that_of_the_samples_one_by_one(instance: bool) -> None:
    rows = table(0, 50)
    chosen = np.arange(0, 50, 2)
    moments = sliced(rows, [at % 2 for at in range(50)], instance=instance)
    found = slice_gap(moments.at(slice(0, 1)), CENTRE, STORED, AVERAGE, instance=instance)
    expected = noise_floor(rows.take(chosen), STORED[1], STORED[2], AVERAGE, instance=instance)
    np.testing.assert_allclose(found.noise, expected, rtol=1e-9)
    known = rows.take(chosen).instances() if instance else rows.take(chosen).pooled()
    np.testing.assert_allclose(found.var, known.variance, rtol=1e-9)


def test_what_is_not_finite_stays_in_its_own_slice() -> None:
    rows = table(0, 12)
    rows.mean[0, 1] = np.nan
    moments = sliced(rows, [0, 1] * 6)
    assert np.isnan(variance(moments, 0)[1])
    assert np.isfinite(variance(moments, 1)).all()


def test_one_sample_alone_tells_no_noise() -> None:
    found = slice_gap(sliced(table(0, 1), [0]), CENTRE, STORED, AVERAGE)
    assert np.isposinf(found.noise).all()
    assert sure_of_slice(rms(found.gap.gap), rms(found.noise), 1, 4) == -math.inf


def test_small_slices_of_data_that_fit_are_not_sure_to_lie_apart() -> None:
    """Two hundred slices of ten samples whose channels all move together, the worst case: the largest gap is chance."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(2000, 1)) * np.ones(CHANNELS)
    rows = SampleMoments(np.ones(2000), common, np.zeros((2000, CHANNELS)))
    moments = SliceMoments.of(rows, np.arange(2000) % 200, np.zeros(CHANNELS))[1]
    stored = (np.zeros(CHANNELS), np.ones(CHANNELS), 1e-5)
    gaps = [slice_gap(moments.at(slice(at, at + 1)), np.zeros(CHANNELS), stored, AVERAGE) for at in range(200)]
    told = [(rms(each.gap.gap), rms(each.noise)) for each in gaps]
    assert max(gap for gap, _ in told) > 0.5
    assert max(sure_of_slice(gap, noise, 10, 200) for gap, noise in told) < 0
    assert sure_of_slice(0.5, 0.05, 500, 200) > 0.3
    assert sure_of_slice(0.5, 0.05, 7, 1) == -math.inf  # too few to tell how they spread
