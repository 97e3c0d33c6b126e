"""BN106: variances that change from stage to stage are no fault of single layers; one layer alone is."""

from __future__ import annotations

import numpy as np
import pytest

from bncheck.evidence import Evidence, PredictedLayer, Predictions
from bncheck.rules import judge


def named(*log_factors: float, form: str = "bn > conv > bn") -> list[str]:
    """The layers that BN106 names, of twelve whose means fit, by the logarithms of their variances over those alike."""
    zeros, ones = np.zeros(2), np.ones(2)
    layers = [
        PredictedLayer(
            *(f"{place}", "before", "conv", "ReLU", form, 12, False, zeros, ones, zeros, ones),
            *(0.05, 0.05, 0.05, 0.05, log_factor, 0.2),
        )
        for place, log_factor in enumerate((*log_factors, *[0.0] * (12 - len(log_factors))))
    ]
    found = judge(Evidence((), predicted=Predictions(tuple(layers))), {"BN106"})
    return sorted(name for finding in found for name in finding.layers)


@pytest.mark.parametrize("sign", [-1, 1])
def test_one_layer_alone_is_named(sign: int) -> None:
    assert named(0.0, 0.0, sign * 1.9) == ["2"]
    assert named(0.0, -sign * 1.2, sign * 1.9, 0.0, 0.0, sign * 1.2) == ["2"]  # one is the other way, one is far


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_stage_that_moves_together_is_not(sign: int) -> None:
    assert named(sign * 1.9, sign * 1.7, sign * 1.3, 0.0, sign * 1.9) == []


def test_a_stage_that_is_off_by_more_than_nine_times_is() -> None:
    assert named(2.5, 2.4, 2.6) == ["0", "1", "2"]
