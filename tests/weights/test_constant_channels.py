"""Channels that died in training store what they drifted to, in deviations of next to nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from torch import nn

import bncheck
from bncheck.formats import from_module
from bncheck.vocabulary import Unpredicted
from bncheck.weights import predictions_of
from tests.weights.block_nets import depthwise, measured, moved, norms, plain, remeasured, residual


def with_constant(net: nn.Module, which: Sequence[int], share: float) -> nn.Module:
    """The net, some of whose layers have that share of channels whose weights have shrunk to nothing.

    Their variances are as good as 0, and their means lag behind what an optimizer still makes of their biases.
    """
    net = measured(net)
    weights = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    for place in which:
        weights[place].weight.data[: int(share * weights[place].out_channels)] = 0.0
    remeasured(net)
    for place in which:
        norm = norms(net)[place]
        dead = int(share * norm.num_features)
        norm.running_mean[:dead] += 1e-3
        norm.running_var[:dead] = 1e-30
    return net


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("last", [3, 6])
def test_layers_whose_channels_died_are_not_off(share: float, last: int) -> None:
    """As the last blocks of a small network for microcontrollers, which its authors publish as their reference."""
    net = with_constant(plain(depth=12), range(12 - last, 12), share)
    assert bncheck.inspect(net, select=["BN106"]).findings == ()


def test_depthwise_convolutions_of_dead_channels_are_not_off() -> None:
    net = with_constant(depthwise(12), range(16, 25), 0.6)
    assert bncheck.inspect(net, select=["BN106"]).findings == ()


def test_a_layer_of_which_little_is_alive_is_not_judged() -> None:
    net = with_constant(plain(depth=12), [5], 0.6)
    reasons = predictions_of(from_module(net)).reasons
    assert reasons["16"] is reasons["19"] is Unpredicted.UNUSABLE


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_channels_that_live_tell_of_a_fault(share: float) -> None:
    net = with_constant(residual(9), [2, 6, 8], share)
    net = moved(net, [8], 1.0)
    (finding,) = bncheck.inspect(net, select=["BN106"]).findings
    assert finding.layers == ("6.bn2",)
