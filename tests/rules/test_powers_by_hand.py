"""Which power of the stored variances is told, worked out by hand: where each of its conditions alone decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cases_of_files import seen
from hand_built import layer

from bncheck.core import FloatArray
from bncheck.evidence import MeasuredLayer
from bncheck.rules.judging.powers import PowerFit, fit_power

NARROW, WIDE = np.linspace(1.0, 1.8, 9), 2.0 ** np.arange(-4, 5)
POWERS = {"squares": 2.0, "deviations": 0.5, "inverse deviations": -0.5, "inverses": -1.0}


def channels(
    var: Sequence[float] | FloatArray, stored: FloatArray, *, name: str = "a", mean: float = 0.0, noise: float = 0.01
) -> MeasuredLayer:
    """A layer that sees `var` where `stored` is, around that mean in place of 0."""
    size = len(stored)
    one = layer(name, mean=np.zeros(size), var=stored, weight=None, bias=None)
    return seen(replace(one, channels=size), np.full(size, mean), var, noise=np.full(size, noise))


def told(*layers: MeasuredLayer) -> PowerFit:
    found = fit_power(layers)
    assert found is not None
    return found


@pytest.mark.parametrize("name", POWERS)
def test_every_power_is_told_by_what_makes_a_variance_of_it(name: str) -> None:
    """However small the gaps are, and whatever the mean of the logarithms is."""
    for var in (NARROW, 3 * NARROW):
        found = told(channels(var, var ** POWERS[name]))
        assert found.power.exponent == pytest.approx(1 / POWERS[name])
        assert found.exponent == pytest.approx(1 / POWERS[name], rel=1e-3)
        assert found.explained == pytest.approx(1.0, abs=1e-6)


def test_statistics_that_are_right_are_no_power() -> None:
    assert fit_power([channels(NARROW, NARROW)]) is None


def test_too_few_channels_tell_nothing() -> None:
    assert fit_power([channels(NARROW[:7], NARROW[:7] ** 2)]) is None
    assert told(channels(NARROW[:8], NARROW[:8] ** 2)).layers == ()
    assert fit_power([channels(NARROW, NARROW**2), replace(channels(NARROW, NARROW), own=None)]) is None


@pytest.mark.parametrize(("noise", "expected"), [(0.01, True), (0.02, False)])
def test_variances_that_are_nearly_alike_show_no_more_than_noise(noise: float, expected: bool) -> None:
    """One factor on all of them leaves gaps of 0.014: a power shows where that is more than noise."""
    alike = np.linspace(1.0, 1.1, 9)
    assert (fit_power([channels(alike, alike**2, noise=noise)]) is not None) is expected


@pytest.mark.parametrize(("var", "expected"), [(2.0, True), (2.5, False)])
def test_a_power_that_makes_one_layer_wrong_is_not_told(var: float, expected: bool) -> None:
    """A layer that is right would lie off by var^(1/4) - 1, at 2.5 by more than the margin."""
    right = np.full(9, var)
    found = fit_power([channels(WIDE, WIDE**2), channels(right, right, name="right")])
    assert (found is not None) is expected
    assert found is None or found.layers == ("a",)


@pytest.mark.parametrize(("exponent", "expected"), [(1.8, True), (1.7, False)])
def test_most_of_the_gap_must_be_explained(exponent: float, expected: bool) -> None:
    """By the square 94 % of it are at an exponent of 1.8, and at 1.7 too little, near as that is to 2."""
    stored = np.geomspace(0.5, 2.0, 9)
    assert (fit_power([channels(stored**exponent, stored)]) is not None) is expected


@pytest.mark.parametrize(("mean", "expected"), [(0.05, True), (0.1, False)])
def test_a_power_must_leave_far_less_than_one_factor_does(mean: float, expected: bool) -> None:
    """Means that are off are left by both: here by a tenth of what the factor leaves, and by a third."""
    var = np.linspace(4.0, 6.0, 9)
    assert (fit_power([channels(var, var**2, mean=mean)]) is not None) is expected
