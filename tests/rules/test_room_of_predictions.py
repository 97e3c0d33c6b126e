"""How far a layer must be off before BN106 names it: by what stands before it, and by how many are fed alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bncheck.evidence import PredictedLayer, Predictions
from bncheck.rules import judge
from tests.rules.every_rule import static
from tests.rules.hand_built import layer


def named(alike: int = 9, **of_one: float | bool) -> tuple[str, ...]:
    """What is named of layers fed alike, of which the fifth is as said and the others fit."""
    zeros, ones = np.zeros(2), np.ones(2)
    fits = PredictedLayer(
        *("a", "before", "conv", "ReLU of norm", "form", alike, False, zeros, ones, zeros, ones),
        *(0.05, 0.05, 0.05, 0.05, 0.0, 0.1, True),
    )
    layers = [replace(fits, name=str(place)) for place in range(alike)]
    layers[4] = replace(layers[4], **of_one)  # type: ignore[arg-type]
    told = static(*(layer(one.name) for one in layers), predicted=Predictions(tuple(layers)))
    return tuple(name for finding in judge(told, {"BN106"}) for name in finding.layers)


@pytest.mark.parametrize(
    ("off", "how", "is_named"),
    [
        (0.2, {}, True),
        (0.2, {"is_summed": True}, False),
        (0.4, {"is_summed": True}, False),
        (0.45, {"is_summed": True}, True),
        (0.45, {"is_summed": True, "at_end": True}, False),
        (0.2, {"at_end": True}, False),
        (0.165, {}, False),
        (0.165, {"alike": 20}, True),
        (0.155, {"alike": 20}, False),
    ],
)
def test_means(off: float, how: dict[str, bool | int], is_named: bool) -> None:
    assert named(**{"distance": off, "typical": off, **how}) == (("4",) if is_named else ())  # type: ignore[arg-type]


@pytest.mark.parametrize("typical", [0.0, 0.2])
def test_a_few_channels_that_are_far_off_need_more_behind_a_sum(typical: float) -> None:
    assert named(distance=0.5, typical=typical) == ("4",)
    assert named(distance=0.5, typical=typical, is_summed=True) == ()
    assert named(distance=1.2, typical=typical, is_summed=True) == ("4",)


@pytest.mark.parametrize(
    ("factor", "how", "is_named"),
    [
        (2.5, {}, True),
        (2.5, {"is_summed": True}, False),
        (9.0, {"is_averaged": True}, False),
        (2.5, {"log_spread": 0.45}, False),
        (2.5, {"log_spread": 0.45, "alike": 20}, True),
    ],
)
def test_variances(factor: float, how: dict[str, bool | int], is_named: bool) -> None:
    assert named(**{"log_factor": factor, **how}) == (("4",) if is_named else ())  # type: ignore[arg-type]
