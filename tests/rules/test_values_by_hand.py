"""BN203 to BN206 where stored numbers alone decide: each limit and each default, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases_of_files import seen
from every_rule import static
from hand_built import evidence, layer

from bncheck.core import PRECISIONS, THRESHOLDS
from bncheck.rules import judge
from bncheck.rules.values import bn203, bn204, bn205, bn206

# BN203


def dead(var: list[float], weight: list[float] | None = None, eps: float | None = 1e-5) -> list[int]:
    """Which channels are dead and amplified, by the file alone."""
    one = layer(var=np.array(var), eps=eps, weight=None if weight is None else np.array(weight))
    found = bn203._dead(one, static(one))
    return [] if found is None else np.flatnonzero(found.channels).tolist()


def test_a_channel_is_dead_whose_variance_is_nothing_beside_eps_under_a_large_gain() -> None:
    nothing = THRESHOLDS.no_variance * 1e-5
    assert dead([nothing, 4.0]) == [0]
    assert dead([1.01 * nothing, 4.0]) == []
    assert dead([0.0, -1.0]) == [0]
    assert dead([9 * nothing, 11 * nothing], eps=1e-4) == [0]
    least = THRESHOLDS.large_gain * np.sqrt(1e-5)
    assert dead([0.0, 0.0], [1.001 * least, 0.999 * least]) == [0]
    assert dead([0.0, 0.0], [-1.001 * least, 1.0]) == [0, 1]


def test_without_eps_what_holds_for_any_counts() -> None:
    """The gain is that under the largest in use, and nothing is what is so beside the smallest."""
    nothing = THRESHOLDS.no_variance * THRESHOLDS.smallest_eps
    least = THRESHOLDS.large_gain * np.sqrt(THRESHOLDS.largest_eps)
    assert dead([nothing, 1.01 * nothing], [1.001 * least] * 2, eps=None) == [0]
    assert dead([0.0, 0.0], [1.001 * least, 0.999 * least], eps=None) == [0]
    assert dead([np.nan, 0.0], [np.nan, 1.001 * least], eps=0.0) == [1]


def test_of_dead_channels_those_are_told_that_vary_on_the_data() -> None:
    for eps, own, told in ((1e-5, 1.1e-5, [0]), (1e-5, 1e-5, []), (None, 0.1, [0]), (None, 1e-12, [0])):
        one = layer(var=np.array([1e-8, 4.0]), eps=eps, weight=np.full(2, 9.0))
        found = bn203._dead(one, evidence(seen(one, [0, 0], [own, 4.0])))
        assert ([] if found is None else np.flatnonzero(found.channels).tolist()) == told


def test_the_largest_gain_of_those_that_are_dead_is_told() -> None:
    one = layer(var=np.array([0.0, 0.0]), weight=np.array([2.0, 1.0]))
    (found,) = judge(static(one), {"BN203"})
    assert found.evidence["largest_gain"] == pytest.approx(2 / np.sqrt(1e-5), rel=1e-2)
    assert found.evidence["count"] == found.measure.value == 2


# BN204

HALF = PRECISIONS["float16"]


def lost(precision: str = "float16", **changes: Any) -> list[tuple[str, bool, str, tuple[int, ...]]]:
    losses = bn204._losses(layer(**changes), PRECISIONS[precision])
    return [(loss.array, loss.folded, loss.fate, loss.channels) for loss in losses]


def test_what_half_precision_cannot_hold_as_it_is_stored() -> None:
    assert lost() == []
    just = np.array([HALF.infinite, 0.0])
    assert ("running mean", False, bn204.OVERFLOW, (0,)) in lost(mean=just)
    assert ("beta", False, bn204.OVERFLOW, (0,)) in lost(bias=just)
    assert lost(mean=np.nextafter(just, 0.0), var=np.full(2, 16.0)) == []
    assert lost(weight=None, bias=None) == []
    zero, more = HALF.zero, np.nextafter(HALF.zero, 1.0)
    vanished = ("variance + eps", False, bn204.ZERO, (0,))
    for eps, var, told in ((zero, zero, True), (more, zero, False), (zero, more, False), (None, zero, False)):
        found = lost(eps=eps, var=np.array([var, 4.0]), weight=np.full(2, 0.01))
        assert (vanished in found) is told


def test_what_half_precision_cannot_hold_where_it_is_folded() -> None:
    """Scale is gamma over the deviation, bias is beta less mean times scale."""
    small = {"var": np.array([1e-6, 4.0]), "eps": 0.0}
    assert lost(weight=np.array([65.0, 1.0]), **small) == []
    assert lost(weight=np.array([66.0, 1.0]), **small) == [("scale", True, bn204.OVERFLOW, (0,))]
    assert lost(weight=np.array([66.0, 1.0]), var=small["var"], eps=None) == []
    turned = {"mean": np.array([40000.0, 0.0]), "var": np.full(2, 1.0), "eps": 0.0}
    assert lost(bias=np.array([40000.0, 0.0]), **turned) == []
    assert lost(bias=np.array([-40000.0, 0.0]), **turned) == [("bias", True, bn204.OVERFLOW, (0,))]
    wide = {"var": np.array([1e20, 1.0]), "eps": 0.0}
    vanishes = ("scale", True, bn204.ZERO, (0,))
    assert vanishes in lost("bfloat16", var=np.array([1e80, 1.0]), weight=np.array([1e-1, 1.0]), eps=0.0)
    least = THRESHOLDS.noticeable_output
    for gamma, told in ((1.01 * least, True), (0.99 * least, False)):
        assert (vanishes in lost(weight=np.array([gamma, 1.0]), **wide)) is told
    for scale, told in ((HALF.zero, True), (2 * HALF.zero, False)):
        var = np.array([HALF.zero**-2, 1.0])
        assert (vanishes in lost(var=var, weight=np.array([scale / HALF.zero, 1.0]), eps=0.0)) is told


# BN205


def test_what_rounding_to_a_precision_moves() -> None:
    unit, zero = HALF.rounding, HALF.zero
    mean, var, eps = np.array([6.0, 0.0]), np.array([3.0, 0.0]), 1.0
    shift, scale = np.array([6 * unit / 2, zero]), np.array([3 * unit / 8, zero / 2])
    for given, told in ((eps, np.hypot(shift, scale)), (0.0, np.array([np.hypot(6 * unit / 3**0.5, unit / 2), 0.0]))):
        one = layer(mean=mean, var=var, eps=given, dtype="float16")
        assert bn205._rounding_gap(one) == pytest.approx(told)
    unknown, largest = (layer(mean=mean, var=var, eps=one, dtype="float16") for one in (None, THRESHOLDS.largest_eps))
    assert bn205._rounding_gap(unknown) == pytest.approx(bn205._rounding_gap(largest))


# BN206


def test_how_many_deviations_a_mean_lies_from_0() -> None:
    for eps, told in (
        (1.0, [3.0, 5.0]),
        (None, [6 / np.sqrt(3 + THRESHOLDS.largest_eps), 5 / THRESHOLDS.largest_eps**0.5]),
    ):
        one = layer(mean=np.array([-6.0, 5.0]), var=np.array([3.0, 0.0]), eps=eps)
        assert bn206._mean_in_deviations(one) == pytest.approx(told)
    broken = layer(mean=np.array([1.0, np.nan]), var=np.array([0.0, -1.0]), eps=0.0)
    assert bn206._mean_in_deviations(broken).tolist() == [0.0, 0.0]


def test_values_that_no_arithmetic_holds_are_judged_without_a_warning() -> None:
    """Every rule may divide by what it finds."""
    broken = layer(mean=np.array([np.inf, 1e300]), var=np.array([-1.0, np.nan]), eps=0.0, updates=1)
    codes = {one.code for one in judge(static(broken, replace(broken, name="zero", var=np.zeros(2))))}
    assert {"BN201", "BN202"} <= codes
