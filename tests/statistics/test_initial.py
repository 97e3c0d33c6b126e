"""What looks as a layer does before training, whatever its values are."""

from __future__ import annotations

import numpy as np
import pytest

from bncheck.core import NormLayer, spread, was_trained

INF, NAN = np.inf, np.nan


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
    layer = NormLayer(name="bn", kind="batch_norm", channels=2, mean=None, var=None, bias=np.array(bias))
    assert was_trained(layer) is trained
