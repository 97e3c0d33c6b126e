"""What a wrong layer's numbers look like, worked out by hand: where each pattern begins to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cases_of_drift import wrong
from hand_built import layer

from bncheck.core import THRESHOLDS, FloatArray
from bncheck.core.layers import NormLayer
from bncheck.rules.judging.pattern import pattern_of

Numbers = Sequence[float] | FloatArray


def stored(mean: Numbers, var: Numbers) -> NormLayer:
    size = len(mean)
    one = layer("c", mean=np.array(mean, float), var=np.array(var, float), weight=np.ones(size))
    return replace(one, channels=size, bias=np.arange(float(size)))


def told(mean: Numbers, var: Numbers, by: NormLayer, *others: NormLayer) -> str | None:
    """What is said of `by`, which sees these numbers among layers that fit."""
    return pattern_of("c", wrong(list(mean), list(var), by, *others))


@pytest.mark.parametrize(
    ("off", "between", "right", "expected"),
    [
        (2, 2, 6, True),
        (2, 3, 5, False),
        (6, 0, 2, True),
        (7, 0, 1, False),
        (0, 0, 8, False),
        (8, 0, 0, False),
        (1, 0, 1, True),
    ],
)
def test_some_channels_are_off_where_most_are_or_fit_and_a_quarter_fits(
    off: int, between: int, right: int, expected: bool
) -> None:
    size = off + between + right
    mean = [0.01] * right + [0.4] * between + [1.0] * off  # in deviations of 2
    said = told(mean, [4.0] * size, stored(np.zeros(size), np.full(size, 4.0)))
    assert said == (f"{off} of its {size} channels are off, the others fit" if expected else None)


def test_a_layer_that_fits_shows_no_pattern() -> None:
    """Whatever power of a variance of 1 fits as well."""
    assert told([0, 0, 0], [1, 1, 1], stored([0, 0, 0], [1, 1, 1])) is None


def test_powers_are_told_by_the_channels() -> None:
    var = np.array([1.0, 4.0, 9.0, 16.0, 0.04])
    for power, said in ((0.5, "standard deviations are stored"), (2.0, "squared variances are stored")):
        assert told(np.zeros(5), var, stored(np.zeros(5), var**power)) == f"{said} where variances belong"
    assert told(np.zeros(5), 2 * var, stored(np.zeros(5), 1.5 * var[::-1])) is None


def test_one_factor_needs_variances_that_are_none_of_them_0() -> None:
    """Beside a channel that does not vary the logarithms have no sum; those that are off can be counted still."""
    size = 64
    var = np.full(size, 4.0)
    alive, dead = np.full(size, 1.0), np.append(np.full(size - 1, 1.0), 0.0)
    assert (
        told(np.zeros(size), alive, stored(np.zeros(size), var))
        == "all its variances are about 4 times those of the data"
    )
    assert told(np.zeros(size), dead, stored(np.zeros(size), var)) is None
    mean = np.append(np.full(8, 3.0), np.zeros(size - 8))
    some = np.append(np.full(size - 1, 4.0), 0.0)
    assert told(mean, some, stored(np.zeros(size), var)) == "8 of its 64 channels are off, the others fit"
    assert told(np.zeros(1), [1.0], stored([0.0], [4.0])) is None


def test_the_statistics_of_another_layer_are_told_where_they_fit() -> None:
    mean, var = np.array([1.0, -2.0, 3.0]), np.array([1.0, 4.0, 0.3])
    mine = stored([9.0, 12.0, 9.5], [3.0, 0.5, 1.0])
    other = replace(stored(mean, var), name="d")
    assert told(mean, var, mine, other) == "the statistics stored in d fit it better"
    assert told(mean, var, mine, replace(other, mean=mean + 50)) is None
    seen = wrong(list(mean), list(var), mine, other)
    hidden = np.array([False, True, False])  # what is stored there was not looked at
    blind = dict(seen.measured) | {"d": replace(seen.measured["d"], hidden=hidden)}
    assert pattern_of("c", replace(seen, measured=blind)) is None


def test_statistics_that_stand_in_another_layer_too_are_told_to_be_its() -> None:
    mean, var = np.array([1.0, -2.0, 3.0]), np.array([1.0, 4.0, 0.3])
    mine = stored(mean + 9, 5 * var)
    said = "they are those stored in d too, to the last digit"
    for other, expected in ((mine.mean, said), (mine.mean + 1e-12, None)):
        assert told(mean, var, mine, replace(mine, name="d", mean=other)) == expected
    assert told(mean, var, mine, replace(mine, name="d", var=mine.var + 1e-12)) is None


def test_the_order_is_told_where_it_is_another_and_fits() -> None:
    mean, var = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 0.5, 4.0])
    order = [2, 0, 3, 1]
    assert told(mean, var, stored(mean[order], var[order])) == "they fit in another order of the channels"
    assert told(mean, var, stored(mean[order] + 9, var[order])) is None
    assert told(mean, var, stored(mean + 9, var)) is None


@pytest.mark.parametrize(("left", "is_told"), [(0.99, True), (1.01, False)])
def test_an_explanation_leaves_nothing_that_would_be_wrong_itself(left: float, is_told: bool) -> None:
    """However far off the layer is: sorted, the values of any layer come within a share of that."""
    mean, var = np.linspace(-8.0, 8.0, 8), np.ones(8)
    off = left * THRESHOLDS.outlier_gap
    for by, others, said in (
        (stored(mean[::-1] + off, var), (), "they fit in another order of the channels"),
        (stored(mean + 8, var), (stored(mean + off, var),), "the statistics stored in d fit it better"),
        (stored(mean, 400 * var), (), "all its variances are about 400 times those of the data"),
    ):
        seen = mean + off if said.startswith("all") else mean
        assert told(seen, var, by, *(replace(other, name="d") for other in others)) == (said if is_told else None)
