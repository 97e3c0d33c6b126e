"""What a layer's own numbers tell: initial, trained, folded, and what neither class nor counter says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bncheck.core import (
    BATCH_NORM,
    OTHER,
    Identities,
    NormLayer,
    above_guessing,
    identities,
    in_float64,
    is_initial,
    is_unclassed,
    may_be_folded,
    poor_accuracy,
    spread,
    was_trained,
)

INF, NAN = np.inf, np.nan
IDENTITY = {"mean": np.zeros(2), "var": np.ones(2)}
LEARNED = {"mean": np.array([0.1, 0.0]), "var": np.array([1.0, 2.0])}
TRAINED = {"bias": np.array([0.1, -0.1])}


def layer(name: str = "bn", kind: str = BATCH_NORM, **values: Any) -> NormLayer:
    return NormLayer(name, kind, 2, **({"mean": None, "var": None} | values))


@pytest.mark.parametrize(
    ("mean", "var", "expected"),
    [
        ([0, 0], [1, 1], True),
        ([0, 1e-9], [1, 1], False),
        ([0, 0], [1, 1 + 1e-9], False),
        ([1, 1], [1, 1], False),
        ([0, 0], [2, 2], False),
    ],
)
def test_initial_statistics_are_so_to_the_last_digit(mean: list[float], var: list[float], expected: bool) -> None:
    assert is_initial(layer(mean=np.array(mean), var=np.array(var))) is expected


def test_statistics_that_are_not_there_are_asked_for_in_vain() -> None:
    for values in ({}, {"mean": np.zeros(2)}, {"var": np.ones(2)}):
        assert not layer(**values).has_statistics
        assert not layer(**values, trainable_class=False).is_folded
        with pytest.raises(ValueError, match="bn has no stored statistics"):
            _ = layer(**values).statistics
    assert layer(**IDENTITY).has_statistics


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"bias": np.array([0.1, -0.1])}, True),
        ({"bias": np.array([0.1, 0.1])}, False),
        ({"bias": np.array([0.1])}, False),
        ({"bias": np.array([0.1, 0.1]), "weight": np.array([1.0, 2.0])}, False),
        ({"weight": np.array([1.0, 2.0])}, True),
        ({}, False),
    ],
)
def test_a_beta_that_varies_was_trained(values: dict[str, Any], expected: bool) -> None:
    assert was_trained(layer(**values)) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({**IDENTITY, "trainable_class": False}, True),
        ({**IDENTITY, "trainable_class": True}, False),
        (IDENTITY, False),
        ({**IDENTITY, "trainable_class": False, "missing": True}, False),
        ({**IDENTITY, "trainable_class": False, "mean": np.array([0.0, 0.1])}, False),
        ({**IDENTITY, "trainable_class": False, "var": np.array([1.0, 2.0])}, False),
        # A variance of 1 - eps, so that the layer divides by exactly 1.
        ({"mean": np.zeros(2), "var": np.full(2, 1 - 1e-3), "eps": 1e-3}, True),
        ({"mean": np.zeros(2), "var": np.array([1 - 1e-3, 1.0]), "eps": 1e-3}, False),
        ({"mean": np.zeros(2), "var": np.full(2, 1 + 1e-3), "eps": 1e-3}, False),
        ({"mean": np.zeros(2), "var": np.full(2, 1 - 1e-3)}, False),
        ({"mean": np.zeros(2), "var": np.full(2, 1 - 2.0**-23), "eps": 0.0}, False),
    ],
)
def test_folded_statistics_divide_by_one(values: dict[str, Any], expected: bool) -> None:
    assert layer(**values).is_folded is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"mean": np.zeros(2), "var": np.full(2, 1 - 1e-3), "eps": 1e-3}, True),
        ({"mean": np.zeros(2), "var": np.full(2, 1 - 1e-5), "eps": 1e-3}, False),
        # Eps unknown: as far from 1 as twice the largest in common use.
        ({"mean": np.zeros(2), "var": np.full(2, 1 - 1e-5)}, True),
        ({"mean": np.zeros(2), "var": np.full(2, 1 + 2e-3 - 1e-12)}, True),
        ({"mean": np.zeros(2), "var": np.array([1.0, 1 - 2e-3 - 1e-9])}, False),
        ({"mean": np.array([0.0, 0.1]), "var": np.full(2, 1 - 1e-5)}, False),
        (IDENTITY, False),
    ],
)
def test_what_may_be_folded_is_near_to_an_identity(values: dict[str, Any], expected: bool) -> None:
    assert may_be_folded(layer(**values)) is expected


def test_neither_class_nor_counter_says_whether_it_is_updated() -> None:
    assert is_unclassed(layer(**IDENTITY))
    for values in ({"trainable_class": False}, {"updates": 0}, {"missing": True}, {"kind": OTHER}):
        assert not is_unclassed(layer(**(IDENTITY | values)))


def test_identities_beside_layers_that_have_learned_were_never_updated() -> None:
    suspects = [layer("a", **IDENTITY, **TRAINED), layer("b", **IDENTITY)]
    assert identities(suspects) == Identities(untold=("a", "b"))
    assert identities([*suspects, layer("c", **LEARNED)]) == Identities(never_updated=("a",))


def test_identities_are_silent_where_something_else_tells() -> None:
    suspect = layer("a", **IDENTITY, **TRAINED)
    assert identities([layer("b", **IDENTITY)]) == Identities()
    assert identities([suspect, layer("c", **LEARNED, updates=0)]) == Identities()
    # Neither a layer without statistics nor one of a known class says that those without a class have learned.
    others = [layer("c"), layer("d", **LEARNED, trainable_class=True)]
    assert identities([suspect, *others]) == Identities(untold=("a",))
    folded = layer("e", mean=np.zeros(2), var=np.full(2, 1 - 1e-5))
    assert identities([suspect, folded]) == Identities(untold=("a",))


def test_poor_accuracy_lies_between_guessing_and_perfect() -> None:
    assert above_guessing(0.0, 4) == 0.25
    assert above_guessing(1.0, 4) == 1.0
    assert above_guessing(0.5, None) == 0.5
    assert poor_accuracy(4) == 0.625
    assert poor_accuracy(None) == 0.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 3.5, 2.0), 2.5),
        ((2.0, 2.0), 0.0),
        ((-1e308, 1e308), INF),
        ((0.0, INF), INF),
        ((INF, INF), NAN),
        ((-INF, -INF), NAN),
        ((0.0, NAN), NAN),
    ],
)
def test_the_spread_of_any_values_is_told_without_a_warning(values: tuple[float, ...], expected: float) -> None:
    assert spread(np.array(values)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("bias", "trained"), [((0.1, 0.2), True), ((0.1, 0.1), False), ((INF, INF), False), ((0.0, INF), True)]
)
def test_a_layer_was_trained_where_beta_varies(bias: tuple[float, ...], trained: bool) -> None:
    assert was_trained(layer(bias=np.array(bias))) is trained


def test_values_of_any_bytes_are_brought_to_float64_without_a_warning() -> None:
    signalling = np.array([0x7C01, 0xFC01, 0x3C00], np.uint16).view(np.float16)
    assert in_float64(signalling).tolist()[2] == 1.0
    assert np.isnan(in_float64(signalling)[:2]).all()
