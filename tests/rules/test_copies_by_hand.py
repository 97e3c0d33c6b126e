"""What weights say of a copy's statistics, worked out by hand: distances at the limits, and in words."""

from __future__ import annotations

import numpy as np
import pytest
from every_rule import static
from hand_built import layer
from test_weights_by_hand import predicted

from bncheck.core import SiblingCopy
from bncheck.evidence import CopyFit, PredictedMoments, Predictions
from bncheck.rules.judging import weights


def fit(own: list[float], under_raw: list[float], of_raw: list[float]) -> CopyFit:
    """Layers `a`, `b`, ... of a copy that lie so far from what is predicted."""
    return CopyFit("ema", tuple("abcdefgh"[: len(own)]), np.array(own), np.array(under_raw), np.array(of_raw))


@pytest.mark.parametrize(
    ("own", "under_raw", "expected"),
    [
        ([0.25] * 4, [0.2] * 4, True),
        ([0.249] * 4, [0.2] * 4, False),
        ([0.25] * 4, [0.2, 0.2, 0.2, 0.3], True),
        ([0.25] * 4, [0.1, 0.1, 0.25, 0.3], False),
        ([0.25, 0.25, 0.25, 0.3], [0.2, 0.2, 0.24, 0.1], True),
        ([0.25, 0.25, 0.25, 0.01], [0.24] * 4, False),
    ],
    ids=["better", "hardly better", "in most", "in half: one is equal", "the typical one is better", "hardly at all"],
)
def test_statistics_are_raw_that_fit_the_raw_weights_clearly_better(
    own: list[float], under_raw: list[float], expected: bool
) -> None:
    assert weights.are_raw(fit(own, under_raw, [0.01] * 4)) is expected


@pytest.mark.parametrize(
    ("own", "otherwise", "expected"),
    [
        ([1.75 * 0.125] * 5, [0.125] * 5, True),
        ([0.218] * 5, [0.125] * 5, False),
        ([0.15] * 5, [0.01] * 5, True),
        ([0.149] * 5, [0.01] * 5, False),
        ([0.4] * 5, [0.1, 0.1, 0.1, 0.3, 0.3], True),
        ([0.4] * 5, [0.1, 0.1, 0.2, 0.3, 0.3], True),
        ([0.4] * 5, [0.1, 0.1, 0.228, 0.267, 0.267], True),
        ([0.3, 0.3, 0.4, 0.4, 0.4], [0.21, 0.21, 0.21, 0.3, 0.3], False),
    ],
    ids=["far", "hardly less", "at the least", "below it", "in three of five", "by more", "by the typical", "in one"],
)
def test_statistics_are_far_where_most_layers_say_so(own: list[float], otherwise: list[float], expected: bool) -> None:
    near = [9.0] * 5  # farther than their own: what is not asked for says nothing
    assert weights.are_of_none(fit(own, near, otherwise)) is expected
    assert weights.is_certain(fit(own, near, otherwise)) is expected
    assert weights.is_certain(fit(own, otherwise, near)) is expected
    assert weights.are_of_none(fit(own, otherwise, near)) is False


def test_what_is_nearer_is_said() -> None:
    raw, none = fit([0.3, 0.3], [0.1, 0.1], [0.2, 0.2]), fit([0.3, 0.3], [0.3, 0.3], [0.1, 0.1])
    begin = "in the typical of 2 layers the means lie 0.30 stored deviations from those that the averaged weights"
    assert weights.said_of_copies(raw, "model") == f"{begin} predict, and 0.10 from those that the weights of model do"
    assert weights.said_of_copies(none, "model") == f"{begin} predict, where those of model lie within 0.10 of its own"
    assert weights.agreeing(None) == ""
    assert weights.agreeing(raw) == (
        ": as far as 2 layers tell, the means lie 0.30 stored deviations from those that the averaged weights predict, "
        "and 0.10 from those that the raw ones do"
    )
    assert weights.copies_in_evidence(None) == {}
    assert weights.copies_in_evidence(raw) == {
        "layers_predicted": ["a", "b"],
        "distances_by_own_weights": [0.3, 0.3],
        "distances_by_raw_weights": [0.1, 0.1],
        "distances_in_raw_model": [0.2, 0.2],
    }


def test_a_copy_is_found_by_its_name() -> None:
    one = fit([0.1], [0.1], [0.1])
    seen = static(layer(), copies=(one,))
    for name, found in (("ema", one), ("swa", None)):
        assert weights.fit_of(seen, SiblingCopy(name, True, (), False, False)) is found


def test_how_far_the_typical_of_some_layers_lies() -> None:
    seen = static(
        layer(), predicted=Predictions(tuple(predicted(n, distance=d) for n, d in zip("abc", (1, 2, 4), strict=True)))
    )
    assert weights.own_fit(seen, "abc") == (3, 2.0)
    assert weights.own_fit(seen, "b") == (1, 2.0)
    assert weights.own_fit(seen, "d") is None
    assert weights.own_fit(static(layer()), "abc") is None


def moments(mean: list[float], var: list[float]) -> PredictedMoments:
    return PredictedMoments("before", "conv", "ReLU", np.array(mean), np.array(var))


def test_what_the_weights_predict_instead_is_said_of_one_layer_and_of_the_typical_one() -> None:
    a, b, c = moments([3.0, 4.0], [1.0, 3.0]), moments([0.0, 0.0], [5.0, 7.0]), moments([10.0, 10.0], [8.0, 8.0])
    seen = static(layer(), predicted=Predictions(instead={"a": a, "b": b, "c": c}))
    found = weights.predicted_of(seen, "abz")
    assert list(found) == ["a", "b"]
    assert weights.predicted_of(static(layer()), "abz") == {}
    begin = " If training normalized by the batch, the weights predict others: in"
    assert weights.said_instead({}) == ""
    assert weights.said_instead({"a": a}) == f"{begin} a means of 3.5 (RMS) and variances of about 2."
    assert weights.said_instead({"": a}) == f"{begin} the model itself means of 3.5 (RMS) and variances of about 2."
    assert weights.said_instead({"a": a, "b": b, "c": c}) == (
        f"{begin} the typical of 3 layers means of 3.5 (RMS) and variances of about 6."
    )
    for broken in (moments([np.nan, 1.0], [1.0, 1.0]), moments([1.0, 1.0], [np.inf, np.inf])):
        assert weights.said_instead({"a": a, "b": broken}) == ""
    assert weights.instead_in_evidence({}) == {}
    assert weights.instead_in_evidence({"a": a}) == {
        "predicted": {
            "a": {
                "source": "before",
                "weight": "conv",
                "activation_assumed": "ReLU",
                "mean_rms": pytest.approx(12.5**0.5),
                "mean_min_max": [3.0, 4.0],
                "variance_median": 2.0,
            }
        },
        "layers_predicted": 1,
    }
    many = weights.instead_in_evidence({str(number): a for number in range(9)})
    assert (len(many["predicted"]), many["layers_predicted"]) == (5, 9)
