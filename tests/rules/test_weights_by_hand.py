"""BN106 and BN302 where the weights of a file speak: what decides, worked out by hand, at its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_rule import static
from hand_built import evidence, layer, measured

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence, PredictedLayer, Predictions
from bncheck.results import TrainingEps
from bncheck.results.finding import Finding
from bncheck.rules import judge
from bncheck.vocabulary import Severity

# BN106

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


# BN302: the statistics behind are those of another eps

KERAS = TrainingEps(5e-4, 2e-3, 1e-3, (1e-6, 1e-5, 1e-4, 1e-3, 1e-2), (0.5, 0.4, 0.2, 0.05, 0.3), ("a", "b"))
SMALL = np.full(2, 1e-3)


def told_of_eps(eps: TrainingEps, *layers: Any, **more: Any) -> list[Finding]:
    return list(judge(static(*layers, predicted=Predictions(eps=eps), **more), {"BN302"}))


def other(**changes: Any) -> TrainingEps:
    return TrainingEps(**({name: getattr(KERAS, name) for name in KERAS.__slots__} | changes))


def test_the_eps_that_is_stored_behind_contradicts_the_one_declared() -> None:
    """Of the layers that tell it, those are named whose output it changes."""
    (found,) = told_of_eps(KERAS, layer("a", var=SMALL), layer("b"), layer("c", var=SMALL))
    assert (found.severity, found.layers, found.cost) == (Severity.WARNING, ("a",), None)
    assert found.message.startswith(
        "eps is 1e-05 in a, but the statistics stored behind them are those of an eps between 0.0005 and 0.002: with "
        "1e-05 the means that the weights predict lie 0.40 stored deviations (RMS) from those stored, with 0.001 0.05."
    )
    assert "probably 0.001 (Keras 0.001" in found.fix
    assert found.command == "inspect --data DATA"
    assert found.measure.unit == "relative change of the output"
    changed = np.sqrt((1e-3 + 1e-3) / (1e-3 + 1e-5)) - 1
    assert found.measure.layers == {"a": pytest.approx(changed)}
    assert found.evidence == {
        "layers": ["a"],
        "eps": {"a": 1e-5},
        "median_variance": {"a": 1e-3},
        "eps_from": 5e-4,
        "eps_to": 2e-3,
        "eps_best": 1e-3,
        "distances": {"1e-06": 0.5, "1e-05": 0.4, "0.0001": 0.2, "0.001": 0.05, "0.01": 0.3},
        "layers_that_tell": 2,
    }


@pytest.mark.parametrize(
    ("distance", "severity"), [(0.299, Severity.INFO), (0.3, Severity.WARNING), (0.5, Severity.WARNING)]
)
def test_it_is_a_warning_where_the_declared_eps_fits_badly(distance: float, severity: Severity) -> None:
    eps = other(distances=(0.5, distance, 0.2, 0.05, 0.3))
    (found,) = told_of_eps(eps, layer("a", var=SMALL), layer("b", var=SMALL))
    assert (found.severity, found.layers) == (severity, ("a", "b"))


def test_an_open_interval_is_told_as_one() -> None:
    (found,) = told_of_eps(other(high=None), layer("a", var=SMALL), layer("b"))
    assert "those of an eps of at least 0.0005:" in found.message
    layers = [layer(name, var=SMALL, eps=1e-3) for name in "ab"]
    (found,) = told_of_eps(other(low=None, high=1e-4, best=1e-6), *layers)
    assert "those of an eps of at most 0.0001:" in found.message
    assert "probably 1e-05" in found.fix


NOTHING_TOLD: dict[str, tuple[TrainingEps, list[Any]]] = {
    "no eps that anybody sets": (other(low=2e-4, high=5e-4), [layer("a", var=SMALL), layer("b", var=SMALL)]),
    "layers of several": (KERAS, [layer("a", var=SMALL), layer("b", var=SMALL, eps=2e-5)]),
    "one of them has no eps": (KERAS, [layer("a", var=SMALL), layer("b", var=SMALL, eps=None)]),
    "the only one has no eps": (other(layers=("a",)), [layer("a", var=SMALL, eps=None)]),
    "one of them is not there": (KERAS, [layer("a", var=SMALL)]),
    "no output shows it": (KERAS, [layer("a"), layer("b")]),
    "it is the one declared": (KERAS, [layer("a", var=SMALL, eps=1e-3), layer("b", var=SMALL, eps=1e-3)]),
    "it may be the one declared": (other(low=1e-6), [layer("a", var=SMALL), layer("b", var=SMALL)]),
}


@pytest.mark.parametrize("case", NOTHING_TOLD)
def test_an_eps_that_cannot_be_contradicted_is_not(case: str) -> None:
    eps, layers = NOTHING_TOLD[case]
    assert told_of_eps(eps, *layers) == []


def test_channels_that_only_the_smaller_eps_leaves_alive_do_not_speak() -> None:
    """Most variances are nothing beside the fitting eps, under which these channels would not vary."""
    nothing = THRESHOLDS.no_variance * 1e-3
    dying = np.array([4.0, 4.0, nothing, nothing, nothing])
    assert told_of_eps(other(layers=("a",)), layer("a", var=dying)) == []
    assert told_of_eps(other(layers=("a",)), layer("a", var=np.full(2, nothing))) == []


def test_an_eps_of_zero_is_contradicted_like_any_other() -> None:
    (found,) = told_of_eps(KERAS, *(layer(name, var=SMALL, eps=0.0) for name in "ab"))
    assert found.message.startswith("eps is 0 in a, b, but the statistics stored behind them are those of an eps")
    assert found.measure.layers == dict.fromkeys("ab", pytest.approx(np.sqrt(2) - 1))


def test_an_eps_above_the_variances_is_no_matter_where_the_file_says_that_it_was_trained_so() -> None:
    """A smaller one is excluded, and this one is not: with data as without."""
    tiny = np.full(2, 1e-4)
    layers = [layer(name, var=tiny, eps=1e-3) for name in "ab"]

    def findings(eps: TrainingEps | None) -> list[Finding]:
        return list(judge(static(*layers, predicted=Predictions(eps=eps)), {"BN302"}))

    assert findings(KERAS) == []
    for eps in (None, other(low=None)):
        (found,) = findings(eps)
        assert found.message.startswith("eps is larger than the typical variance of a, b")
    (found,) = findings(other(low=2e-3, high=5e-3))  # another was excluded, and this one too
    assert found.message.startswith("eps is larger than the typical variance of a, b")


def test_a_layer_without_eps_beside_others() -> None:
    """None at all is unlike any other, however near to it the others' are."""
    others = [layer(name) for name in "abc"]
    (found,) = judge(static(*others, layer("odd", eps=0.0, var=np.full(2, 1e-5))), {"BN302"})
    assert found.message == "eps is 0 in odd and 1e-05 elsewhere: outputs show it."
    wide = [layer(name, eps=0.5) for name in "abc"]
    (found,) = judge(static(*wide, layer("odd", eps=0.0, var=np.ones(2))), {"BN302"})
    assert found.message == "eps is 0 in odd and 0.5 elsewhere: outputs show it."


def test_with_data_the_statistics_behind_contradict_nothing() -> None:
    """The layers are measured then."""
    stored = measured(0.01, name="a")
    with_data: Evidence = evidence(stored, predicted=Predictions(eps=other(layers=("a",))))
    assert not judge(with_data, {"BN302"})
