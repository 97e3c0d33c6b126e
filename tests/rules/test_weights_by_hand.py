"""BN106, where the weights of a file speak: what decides, worked out by hand, at its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_rule import static
from hand_built import layer

from bncheck.core import THRESHOLDS
from bncheck.evidence import PredictedLayer, Predictions
from bncheck.results.finding import Finding
from bncheck.rules import judge
from bncheck.vocabulary import Severity

ZEROS, ONES = np.zeros(2), np.ones(2)
USUAL: dict[str, Any] = {
    "source": "before",
    "weight": "conv",
    "activation": "ReLU",
    "form": "bn > conv > bn",
    "alike": 9,
    "at_end": False,
    "mean": ZEROS,
    "var": ONES,
    "stored_mean": np.full(2, 0.25),
    "stored_var": np.full(2, 3.0),
    "distance": 0.05,
    "typical": 0.05,
    "distance_alike": 0.06,
    "typical_alike": 0.05,
    "log_factor": 0.1,
    "log_spread": 0.1,
}
BY_MEAN = {"distance": 0.2, "typical": 0.2, "distance_alike": 0.05, "typical_alike": 0.05}


def predicted(name: str, **changes: Any) -> PredictedLayer:
    """A layer that is as its weights predict, unless told."""
    return PredictedLayer(name, **(USUAL | changes))


def found_in(*layers: PredictedLayer) -> Finding | None:
    found = judge(static(*(layer(one.name) for one in layers), predicted=Predictions(layers)), {"BN106"})
    return found[0] if found else None


def is_off(**changes: Any) -> bool:
    """Whether such a layer is named beside one that is as predicted."""
    found = found_in(predicted("a"), predicted("b", **changes))
    assert found is None or found.layers == ("b",)
    return found is not None


LIMITS_AT_END = {
    "distance": THRESHOLDS.predicted_at_end * THRESHOLDS.predicted_off,
    "typical": THRESHOLDS.predicted_at_end * THRESHOLDS.predicted_typical,
}
MEANS = {
    "far": ({"distance": 0.45, "distance_alike": 0.05}, True),
    "hardly less than far": ({"distance": 0.449, "distance_alike": 0.05}, False),
    "far, and as often as those alike": ({"distance": 0.5, "distance_alike": 0.2}, True),
    "far, and less often": ({"distance": 0.499, "distance_alike": 0.2}, False),
    "in its middle": (BY_MEAN, True),
    "in its middle, as often as those alike": (BY_MEAN | {"typical": 0.25, "typical_alike": 0.1}, True),
    "in its middle, less often than those alike": (BY_MEAN | {"typical": 0.249, "typical_alike": 0.1}, False),
    "at both limits": (BY_MEAN | {"distance": 0.17, "typical": 0.15}, True),
    "below the first": (BY_MEAN | {"distance": 0.1699}, False),
    "below the second": (BY_MEAN | {"typical": 0.1499}, False),
    "at an end": (BY_MEAN | {"at_end": True}, False),
    "at an end, at both limits": (
        BY_MEAN | {"at_end": True} | LIMITS_AT_END,
        True,
    ),
    "of many, at both limits": (BY_MEAN | {"alike": 20, "distance": 0.16, "typical": 0.14}, True),
    "of one less": (BY_MEAN | {"alike": 19, "distance": 0.16, "typical": 0.14}, False),
    "of many, below the first": (BY_MEAN | {"alike": 20, "distance": 0.1599}, False),
    "of many, below the second": (BY_MEAN | {"alike": 20, "typical": 0.1399}, False),
    "behind a sum, far": (BY_MEAN | {"is_summed": True, "distance": 1.13, "typical": 0.1}, True),
    "behind a sum, hardly less than far": (BY_MEAN | {"is_summed": True, "distance": 1.12, "typical": 0.1}, False),
    "behind a sum, beyond both limits": (BY_MEAN | {"is_summed": True, "distance": 0.43, "typical": 0.38}, True),
    "behind a sum, below the first": (BY_MEAN | {"is_summed": True, "distance": 0.42, "typical": 0.38}, False),
    "behind a sum, below the second": (BY_MEAN | {"is_summed": True, "distance": 0.43, "typical": 0.37}, False),
    "at an end, below the first": (BY_MEAN | {"at_end": True, "distance": 0.2549, "typical": 0.4}, False),
    "at an end, below the second": (BY_MEAN | {"at_end": True, "distance": 0.4, "typical": 0.2249}, False),
}
VARIANCES = {
    "larger": ({"log_factor": 1.8}, True),
    "not enough larger": ({"log_factor": 1.79}, False),
    "smaller": ({"log_factor": -1.3}, True),
    "not enough smaller": ({"log_factor": -1.29}, False),
    "of many alike": ({"log_factor": 1.15, "alike": 20}, True),
    "not enough, of many alike": ({"log_factor": -1.149, "alike": 20}, False),
    "of one less": ({"log_factor": 1.7, "alike": 19}, False),
    "beyond their spread": ({"log_factor": 3.0, "log_spread": 0.5}, True),
    "within their spread": ({"log_factor": 2.99, "log_spread": 0.5}, False),
    "beyond the spread of many": ({"log_factor": 2.0, "log_spread": 0.5, "alike": 20}, True),
    "within the spread of many": ({"log_factor": 1.99, "log_spread": 0.5, "alike": 20}, False),
    "behind a sum": ({"log_factor": 3.0, "is_summed": True}, False),
    "behind an average": ({"log_factor": 3.0, "is_averaged": True}, False),
}


@pytest.mark.parametrize("case", MEANS)
def test_means_that_are_off(case: str) -> None:
    changes, expected = MEANS[case]
    assert is_off(**changes) is expected


@pytest.mark.parametrize("case", VARIANCES)
def test_variances_that_are_off(case: str) -> None:
    changes, expected = VARIANCES[case]
    assert is_off(**changes) is expected


@pytest.mark.parametrize(
    ("log_factors", "expected"),
    [
        ((2.0, 0.1, 1.0), ()),
        ((1.0, 0.1, 2.0), ()),
        ((2.0, 0.1, 0.99), ("0",)),
        ((0.99, 0.1, 2.0), ("2",)),
        ((2.0, 0.1, 0.1, 1.0), ("0",)),
        ((1.0, 0.1, 0.1, 2.0), ("3",)),
        ((1.0, 0.1, 0.1, 0.1, 2.0), ("4",)),
        ((2.0, 0.1, -1.0), ("0",)),
        ((-2.0, 0.1, -1.0), ()),
        ((2.19, 1.7), ()),
        ((2.2, 1.7), ("0",)),
        ((-2.2, -1.2), ("0",)),
    ],
)
def test_a_stage_whose_variances_move_together_is_no_fault(
    log_factors: tuple[float, ...], expected: tuple[str, ...]
) -> None:
    """A layer of the same form, two places away at most, is half as far off in the same direction; 2.2 is too far."""
    found = found_in(*(predicted(str(place), log_factor=factor) for place, factor in enumerate(log_factors)))
    assert (found.layers if found else ()) == expected


def test_layers_of_another_form_excuse_nothing() -> None:
    found = found_in(predicted("a", log_factor=2.0), predicted("b", log_factor=1.7, form="another"))
    assert found is not None
    assert found.layers == ("a",)


def test_it_is_a_warning_where_many_are_far_off_and_else_a_remark() -> None:
    right = [predicted(name) for name in "abcdefg"]
    for far, expected in ((1, Severity.INFO), (2, Severity.INFO), (3, Severity.WARNING)):
        wrong = [predicted(f"wrong{number}", **BY_MEAN | {"distance": 0.45}) for number in range(far)]
        found = found_in(*right, *wrong)
        assert found is not None
        assert found.severity == expected
    near = found_in(*right, *(predicted(f"near{number}", **BY_MEAN) for number in range(4)))
    assert near is not None
    assert near.severity == Severity.INFO


@pytest.mark.parametrize(
    ("right", "changes", "expected"),
    [
        (27, BY_MEAN | {"distance": 0.45}, Severity.WARNING),
        (28, BY_MEAN | {"distance": 0.45}, Severity.INFO),
        (7, {"log_factor": 2.2}, Severity.WARNING),
        (7, {"log_factor": 2.19}, Severity.INFO),
        (7, {"log_factor": -2.2}, Severity.WARNING),
        (7, BY_MEAN | {"log_factor": 2.19}, Severity.INFO),
    ],
)
def test_many_are_a_tenth_of_all(right: int, changes: dict[str, Any], expected: Severity) -> None:
    """Three are; each is fed in its own way, so that none excuses another."""
    wrong = [predicted(f"wrong{number}", form=str(number), **changes) for number in range(3)]
    found = found_in(*(predicted(str(number)) for number in range(right)), *wrong)
    assert found is not None
    assert (found.severity, len(found.layers)) == (expected, 3)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"is_known": True}, "(ReLU, by the graph)"),
        ({"activation": "linear"}, "(no activation assumed between)"),
        ({"activation": "linear", "is_known": True}, "(linear, by the graph)"),
    ],
)
def test_what_stands_between_is_told_as_surely_as_it_is_known(changes: dict[str, Any], told: str) -> None:
    found = found_in(predicted("", **BY_MEAN, **changes))
    assert found is not None
    assert "the means of the model itself are" in found.message
    assert told in found.message


def test_what_is_off_is_told_with_its_direction() -> None:
    for factor, way in ((2.0, "7.4 times larger"), (-2.0, "7.4 times smaller")):
        found = found_in(predicted("a"), predicted("b", log_factor=factor))
        assert found is not None
        assert f"the variances of b are {way} than those of layers fed alike" in found.message
        assert "the means" not in found.message.partition(". ")[0]
        assert found.measure.value == pytest.approx(2.0 / THRESHOLDS.predicted_factor)
    both = found_in(predicted("a"), predicted("b", **BY_MEAN, log_factor=2.0))
    assert both is not None
    assert "the means of b are 0.20 stored deviations (RMS) from those that conv makes" in both.message
    assert ", and the variances of b are 7.4 times larger" in both.message
    assert "The means of the other 1 layers that could be predicted lie within 0.05." in both.message
    (first, second) = both.evidence["first_channels"]["b"]
    assert first == {"channel": 0, "stored_mean": 0.25, "predicted_mean": 0.0, "stored_var": 3.0, "predicted_var": 1.0}
    assert second["channel"] == 1


def test_the_farthest_is_told_first_and_nothing_of_others_where_there_are_none() -> None:
    found = found_in(predicted("near", **BY_MEAN), predicted("far", **BY_MEAN | {"distance": 0.4}))
    assert found is not None
    assert found.layers == ("far", "near")
    assert found.evidence["mean_distances"] == [0.4, 0.2]
    assert found.message.endswith("(ReLU assumed between, which fits best). ")
