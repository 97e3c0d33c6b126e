"""What several rules share, asked where an answer can be worked out by hand, and in full of values as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import in_full
from cases_of_drift import off, wrong
from cases_of_files import INITIAL, seen
from cases_on_data import LABELLED
from every_rule import static
from hand_built import effect, evidence, layer, measured
from test_judging_beside import (
    EFFECTS,
    LAYERS,
    METRIC,
    PAIRS,
    SURE,
    TOGETHER,
    of_all,
    of_effect,
    of_layer,
    of_pair,
    whether_decided,
)

from bncheck.core import THRESHOLDS
from bncheck.core.layers import NormLayer
from bncheck.evidence import Improvement, MeasuredLayer
from bncheck.rules import judge
from bncheck.rules.decided import is_decided
from bncheck.rules.judging import causes, fed
from bncheck.rules.judging.harm import worse_heads
from bncheck.rules.judging.initial import has_initial_means, has_initial_variances
from bncheck.rules.judging.localised import localised
from bncheck.rules.judging.pattern import pattern_of
from bncheck.rules.judging.powers import fit_power

ASKED: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    **{f"effect-{name}": (value, of_effect) for name, value in EFFECTS.items()},
    **{f"decided-{name}": (value, whether_decided) for name, value in EFFECTS.items()},
    **{f"fed-{name}": (value, of_pair) for name, value in PAIRS.items()},
    **{f"layer-{name}": (value, of_layer) for name, value in LAYERS.items()},
    **{f"together-{name}": (make, lambda one: of_all(one())) for name, make in TOGETHER.items()},
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_told_of_them_as_they_are(name: str) -> None:
    value, ask = ASKED[name]
    golden = Path(__file__).parent / "golden" / f"{name.replace(' ', '-')}.txt"
    assert golden.read_text("utf-8").startswith(f"{in_full(ask(value))}\n")


def test_heads_that_get_worse_are_named_and_others_not() -> None:
    assert worse_heads(EFFECTS["heads"]) == ("right",)


@pytest.mark.parametrize(
    ("mean", "var", "means", "variances"),
    [
        ([0, 0, 0], [2, 2, 3], True, False),
        ([0, 0, 0], [1, 1, 3], False, False),
        ([0, 0, 0], [2, 2, 2], False, False),
        ([0, 0, 1], [2, 2, 3], False, False),
        ([1, 2, 0], [1, 1, 1], False, True),
        ([0, 0, 2], [1, 1, 1], False, False),
        ([1, 2, 0], [1, 1, 2], False, False),
    ],
)
def test_which_half_is_the_initial_one(mean: list[int], var: list[int], means: bool, variances: bool) -> None:
    one = replace(layer(mean=np.array(mean, float), var=np.array(var, float)), channels=3)
    assert (has_initial_means(one), has_initial_variances(one)) == (means, variances)


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ((0.7, 0.65, 0.02), ()),  # two of three are more than half
        ((0.7, 0.65, 0.02, 0.02), ("a", "b")),
        ((0.7, 0.27, 0.02), ("a",)),
        ((0.7, 0.3, 0.02), ()),
        ((0.19, 0.02, 0.02), ()),
        ((0.6,), ()),
        ((0.6, 0.09), ("a",)),
        ((0.6, 0.11), ()),
    ],
)
def test_layers_that_stand_out_by_themselves(own: tuple[float, ...], found: tuple[str, ...]) -> None:
    data = off(*own)
    exact = {name: replace(one, noise=np.zeros(2)) for name, one in data.measured.items()}
    assert localised(replace(data, measured=exact)) == found


@pytest.mark.parametrize(
    ("var", "told"),
    [
        (4 / 1.3, None),
        (4 / 1.6, "all its variances are about 1.6 times those of the data"),
        (4 * 1.3, None),
        (4 * 1.6, "all its variances are about 1/1.6 of those of the data"),
    ],
)
def test_from_which_factor_on_it_is_one(var: float, told: str | None) -> None:
    assert pattern_of("c", wrong([0, 0], [var, var], layer("c"), layer("d"))) == told


def _wide(name: str, var: Sequence[float], stored: Sequence[float]) -> MeasuredLayer:
    size = len(var)
    one = layer(name, mean=np.zeros(size), var=np.array(stored, float), weight=None, bias=None)
    return seen(replace(one, channels=size), np.zeros(size), var)


def test_the_power_that_is_stored_in_layers_of_any_variance() -> None:
    var = 2.0 ** np.arange(-4, 5)  # the middle one lies at the mean of the logarithms
    found = fit_power([_wide("a", var, var**2), _wide("b", np.ones(9), np.ones(9))])
    assert found is not None
    assert (found.power.exponent, found.layers) == (0.5, ("a",))
    assert found.exponent == pytest.approx(0.5, abs=1e-3)
    assert found.explained == pytest.approx(1.0)
    assert found.after == pytest.approx(0.0, abs=1e-3)


def test_without_a_measured_layer_nothing_stands_out() -> None:
    assert localised(evidence()) == ()
    assert localised(evidence(measured(1.0))) == ()
    assert not has_initial_means(NormLayer("bn", "batch_norm", 2, **INITIAL))


@pytest.mark.parametrize(
    ("gap", "effect_of", "decided"),
    [
        (0.5, replace(SURE.task.score, gain=0.1), False),  # no more than `large_cost`
        (0.5, replace(SURE.task.score, gain=0.11), True),
        (0.5, replace(SURE.task.score, gain=0.01), True),  # no more than `excluded_cost`
        (0.5, replace(SURE.task.score, gain=0.02), False),
    ],
)
def test_a_look_ends_the_matter_by_the_score(gap: float, effect_of: Improvement, decided: bool) -> None:
    one = replace(SURE, task=replace(SURE.task, score=effect_of))
    assert is_decided(evidence(measured(gap), effect=one), ()) is decided


@pytest.mark.parametrize(
    ("gap", "gain", "decided"),
    [(0.5, 2.0, False), (0.5, 3.1, True), (0.5, 0.2, True), (0.2, 0.5, True), (0.2, 0.7, False)],
)
def test_the_gain_of_a_metric_is_taken_in_its_size(gap: float, gain: float, decided: bool) -> None:
    """Its size is 30: a tenth of it is a large cost, a hundredth is excluded, two of a hundred count beside 0.2."""
    task = replace(METRIC, score=replace(METRIC.score, gain=gain, error=0.0))
    assert is_decided(evidence(measured(gap), effect=effect(task=task)), ()) is decided


def test_how_far_recalibrating_is_ahead_of_another_input_is_taken_in_the_size_of_the_metric() -> None:
    changed = replace(LABELLED, task=replace(METRIC, score=replace(METRIC.score, other=27.0)))
    assert fed.ahead_of(changed, evidence(effect=effect(task=METRIC))) == pytest.approx(0.1)


def test_weights_that_nobody_trained_are_no_evidence() -> None:
    plain: dict[str, Any] = {"weight": np.ones(2), "bias": np.zeros(2)}
    assert judge(static(layer(mean=np.zeros(2), var=np.full(2, 0.9), updates=1, **plain)), {"BN103"}) == ()
    short: dict[str, Any] = {"mean": np.full(2, 0.1), "var": np.full(2, 0.6), "updates": 5}
    bare = layer("b", **short, weight=None, bias=None)
    assert [one.code for one in judge(static(bare), {"BN105"})] == ["BN105"]
    assert judge(static(bare, layer("a", **short, **plain)), {"BN105"}) == ()


def test_channels_are_dead_that_vary_neither_as_shipped_nor_by_the_batch() -> None:
    zeroed = seen(layer(), [4, 0], [0, 4])
    least = THRESHOLDS.no_variance * 1e-5
    for var, dead in ((0.0, 1), (least, 1), (2 * least, 0), (1.0, 0)):
        assert causes._dead_channels(replace(zeroed, var=np.array([var, 4.0]))) == dead
