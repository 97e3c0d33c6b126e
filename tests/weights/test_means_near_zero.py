"""Where the assumptions fit by accident: small means are near to any, and one correlation is not every layer's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.diagnosis.static.planting import Audited
from bncheck.formats import from_module
from bncheck.vocabulary import Activation, Unpredicted
from bncheck.weights import predictions_of
from bncheck.weights.prediction.pairs import pairs_of
from bncheck.weights.prediction.predicting import _beside, _variances
from tests.weights.block_nets import measured, norms, remeasured, unit


class Standardized(nn.Conv2d):
    """A convolution whose weights are standardized when it is called; what it stores are others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


@lru_cache
def by_names(standardized: bool) -> Audited:
    """Ten convolutions and norms that give nearly the same mean in every channel: weights of sum 0 make 0 of it."""
    kind = Standardized if standardized else nn.Conv2d
    net = nn.Sequential()
    for index in range(10):
        net.extend([kind(24 if index else 3, 24, 3, 1, 1), nn.BatchNorm2d(24), nn.ReLU()])
    net = measured(net, size=1e-3)
    for norm in norms(net):
        norm.bias.data.mul_(0.2)
        norm.weight.data.fill_(1.0)
    model = from_module(remeasured(net))
    return Audited(model.layers, model.tensors())


def test_layers_that_fit_no_better_than_no_prediction_are_not_judged() -> None:
    predicted = predictions_of(by_names(True))
    assert predicted.layers == ()
    assert set(predicted.reasons.values()) == {Unpredicted.FED_BY_INPUT, Unpredicted.UNLIKE}


def test_the_same_that_are_explained_are() -> None:
    assert len(predictions_of(by_names(False)).layers) == 9


ALTERNATING = (nn.ReLU, nn.SiLU, nn.Tanh)


@pytest.mark.parametrize("acts", [ALTERNATING, (nn.ReLU,)])
def test_a_variance_is_as_far_off_as_every_correlation_says(acts: tuple[type[nn.Module], ...]) -> None:
    """Positions are less alike on small maps than on large ones: what one correlation makes alike is not off."""
    net = nn.Sequential()
    for index in range(9):
        net.extend(unit(24 if index else 3, 24, act=acts[index % len(acts)]))
    model = from_module(measured(net))
    held = Audited(model.layers, model.tensors())
    layers = predictions_of(held).layers
    pairs, _ = pairs_of(held.layers, held.tensors())
    _, _, tried = _variances(pairs, Activation(layers[0].activation))
    assert len(layers) == len(pairs) == 8
    for place, layer in enumerate(layers):
        factors = [_beside(logs, place) for logs in tried]
        assert abs(layer.log_factor) == pytest.approx(min(map(abs, factors)) if _agree(factors) else 0.0)
    assert any(np.ptp([_beside(logs, place) for logs in tried]) > 0.02 for place in range(8))


def _agree(factors: list[float]) -> bool:
    return not min(factors) < 0 < max(factors)
