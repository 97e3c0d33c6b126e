"""Layers that are wrong by themselves, and those that only warm-up forwards updated: what decides, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases_of_drift import off
from hand_built import effect, layer

from bncheck.core import THRESHOLDS
from bncheck.evidence import CallDistances, CloserLook, Evidence
from bncheck.rules.judging.localised import localised
from bncheck.rules.judging.warm_up import WarmUp, warm_up_of


def seen(*own: float, first: dict[str, Any] | None = None, **more: Any) -> Evidence:
    """Layers `a`, `b`, ... with those gaps of their own and no noise; the first may be unlike the others."""
    data = off(*own, **more)
    exact = {name: replace(one, noise=np.zeros(2)) for name, one in data.measured.items()}
    return replace(data, measured=exact | {"a": replace(exact["a"], **(first or {}))})


def test_a_layer_stands_out_whose_gap_is_sure() -> None:
    for lower, told in ((THRESHOLDS.near_margin, ()), (THRESHOLDS.near_margin + 0.01, ("a",))):
        assert localised(seen(0.7, 0.02, 0.02, first={"lower": lower})) == told


def test_unlike_calls_account_for_the_gap_of_the_layer_that_they_share() -> None:
    """Where the layer is called twice and lies no more than an outlier farther off than they lie apart."""
    least = 0.7 / THRESHOLDS.outlier
    for calls, apart, told in ((2, 1.1 * least, ()), (2, 0.9 * least, ("a",)), (3, 1.1 * least, ())):
        between = CloserLook(calls={"a": CallDistances(apart, 0.1, effect())})
        assert localised(seen(0.7, 0.02, 0.02, first={"calls": calls}, closer=between)) == told
    assert localised(seen(0.7, 0.02, 0.02, first={"calls": 2}, closer=CloserLook())) == ("a",)


def test_nothing_is_wrong_by_itself_where_the_input_feeds_layers_that_are_off() -> None:
    fed = CloserLook(fed_by_input=frozenset(("a", "unmeasured")))
    off_by = THRESHOLDS.outlier_input
    assert localised(seen(off_by, 9.0, 0.02, 0.02, 0.02, closer=fed)) == ()
    assert localised(seen(0.9 * off_by, 9.0, 0.02, 0.02, 0.02, closer=fed)) == ("b",)


def test_behind_a_layer_that_is_far_off_others_are_looked_for() -> None:
    """What stands out less than the farthest is not said to fit, and what only the data may bring is not named."""
    others = (0.02, 0.02, 0.02, 0.02)
    least = THRESHOLDS.margin
    assert localised(seen(2.0, 0.5, 0.4, *others)) == ("a", "b", "c")
    assert localised(seen(2.0, 1.01 * least, *others)) == ("a", "b")
    assert localised(seen(2.0, 0.99 * least, *others)) == ("a",)
    # No next one lies within the margin: the farthest alone stands out.
    assert localised(seen(2.0, 0.5, 0.4, 0.3, 0.26)) == ("a",)
    assert localised(seen(2.0, 0.5, 0.4, 0.3, 0.11)) == ("a",)


def test_noise_is_taken_off_in_squares() -> None:
    """A gap of 0.5 of which 0.49 is noise is one of 0.1."""
    assert localised(seen(0.5, 0.02, 0.02, first={"noise": np.full(2, 0.49)})) == ()
    assert localised(seen(0.5, 0.02, 0.02, first={"noise": np.full(2, 0.6)})) == ()
    assert localised(seen(0.5, 0.02, 0.02, first={"noise": np.full(2, 0.3)})) == ("a",)


def warmed(left: float, channels: int = 2, **changes: Any) -> WarmUp | None:
    """What is said of a mean of 0 and that variance in all channels."""
    one = layer(mean=np.zeros(channels), var=np.full(channels, left), **changes)
    return warm_up_of(replace(one, channels=channels))


WARMED = {
    "the layer's own momentum": (0.7**2, {"momentum": 0.3}, WarmUp(2, 0.3)),
    "one forward": (0.7, {"momentum": 0.3}, WarmUp(1, 0.3)),
    "the usual momentum, since the layer's was set later": (0.9**3, {"momentum": 0.3}, WarmUp(3, 0.1)),
    "one channel": (0.9**3, {"channels": 1}, WarmUp(3, 0.1)),
    "a momentum of 0 that was set later": (0.9**3, {"momentum": 0.0}, WarmUp(3, 0.1)),
    "a momentum of 1 that was set later": (0.9**3, {"momentum": 1.0}, WarmUp(3, 0.1)),
    "by the counter": (0.8**3, {"momentum": None, "updates": 3}, WarmUp(3, 0.2)),
    "by the counter, three digits": (0.877**2, {"momentum": None, "updates": 2}, WarmUp(2, 0.123)),
    "nobody writes four": (0.8766**2, {"momentum": None, "updates": 2}, None),
    "the counter, where the momentum is known": (0.8**3, {"momentum": 0.3, "updates": 3}, None),
    "no counter": (0.8**3, {"momentum": None, "updates": None}, None),
    "a counter of 0": (0.8**3, {"momentum": None, "updates": 0}, None),
    "the smallest momentum": (0.995**2, {"momentum": None, "updates": 2}, WarmUp(2, 0.005)),
    "a smaller one": (0.996**2, {"momentum": None, "updates": 2}, None),
    "the largest momentum": (0.5**2, {"momentum": None, "updates": 2}, WarmUp(2, 0.5)),
    "a larger one": (0.49**2, {"momentum": None, "updates": 2}, None),
    "nothing left": (0.0, {}, None),
    "no forward": (1.0, {}, None),
}


@pytest.mark.parametrize("case", WARMED)
def test_what_forwards_of_zeros_leave(case: str) -> None:
    left, changes, told = WARMED[case]
    assert warmed(left, **changes) == told


def test_a_mean_or_variances_that_differ_are_no_warm_up() -> None:
    assert warm_up_of(layer(mean=np.array([0.0, 0.1]), var=np.full(2, 0.9))) is None
    assert warm_up_of(layer(mean=np.zeros(2), var=np.array([0.9, 0.8]))) is None
