"""BN302 where the statistics stored behind tell the eps, and where it is unlike the others': what decides, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_rule import static
from hand_built import evidence, layer, measured

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence, Predictions
from bncheck.results import TrainingEps
from bncheck.results.finding import Finding
from bncheck.rules import judge
from bncheck.vocabulary import Severity

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
