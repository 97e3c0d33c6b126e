"""BN207 (another quantity in the variances' place): what fires it, and what must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from digit_nets import assert_healthy, codes, norms, only
from hand_built import effect, evidence, layer
from torch import nn

import bncheck
from bncheck.core import compare
from bncheck.evidence import MeasuredLayer
from bncheck.rules.judging.powers import fit_power
from bncheck.rules.values.bn207 import judge

STORED = {
    "the standard deviation": (lambda var: var**0.5, 2.0),
    "the square of the variance": (lambda var: var**2, 0.5),
    "1 / standard deviation": (lambda var: var**-0.5, -2.0),
    "1 / variance": (lambda var: 1 / var, -1.0),
}


def with_variances(net: nn.Module, change, layers=slice(None)) -> nn.Module:
    """The net with its variances changed, in place."""
    for norm in norms(net)[layers]:
        norm.running_var.copy_(change(norm.running_var))
    return net


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_what_a_conversion_stored_is_named_and_undone(healthy, held_out, stored, labelled):
    change, power = STORED[stored]
    x, y = held_out
    data = (x, y) if labelled else x
    finding = only(bncheck.inspect(with_variances(healthy, change), data), "BN207")
    assert finding.severity in ("error", "warning")
    assert finding.evidence["stored"] == stored
    assert finding.evidence["exponent_fitted"] == pytest.approx(power, rel=0.1)
    assert finding.evidence["own_gap_before"] > 4 * finding.evidence["own_gap_after"]
    assert "is stored where the variance belongs" in finding.message
    with_variances(healthy, lambda var: var ** finding.evidence["exponent"])
    assert_healthy(bncheck.inspect(healthy, data))


@pytest.mark.parametrize(
    "change",
    [lambda var: 4 * var, lambda var: var.flip(0), lambda var: 0.5 + 0.5 * var, torch.ones_like],
    ids=["a factor", "of other channels", "half way from 1", "initial"],
)
def test_variances_that_are_wrong_otherwise_are_no_power(healthy, held_out, change):
    assert "BN207" not in codes(bncheck.inspect(with_variances(healthy, change), held_out))


def test_averages_on_their_way_are_no_standard_deviations(healthy, held_out):
    for norm in norms(healthy):
        norm.running_mean.mul_(0.5)
        norm.running_var.copy_(0.5 + 0.5 * norm.running_var)
    assert "BN207" not in codes(bncheck.inspect(healthy, held_out))


def test_one_layer_of_standard_deviations_is_no_conversion(healthy, held_out):
    with_variances(healthy, lambda var: var**0.5, slice(1, 2))
    assert "BN207" not in codes(bncheck.inspect(healthy, held_out))


def test_other_data_under_right_variances(healthy, held_out):
    x, y = held_out
    assert "BN207" not in codes(bncheck.inspect(healthy, (1.5 * x + 0.3, y)))


def seen(var: np.ndarray, own: np.ndarray, *, mean: float = 0.0) -> MeasuredLayer:
    """A layer that stores mean 0 and `var`, and is fed `mean` and `own`."""
    channels = len(var)
    one = replace(layer(mean=np.zeros(channels), var=var), channels=channels)
    gap = compare(np.full(channels, mean), own, np.zeros(channels), var, 1e-5)
    noise = np.full(channels, 0.01)
    return MeasuredLayer(one, 1, None, np.full(channels, mean), own, gap, gap, noise, lower=1.0, p_value=0.0)


VAR, LARGE = np.geomspace(0.1, 10, 8), np.geomspace(50, 400, 8)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (seen(VAR**0.5, VAR), ["error"]),
        (seen(VAR, VAR), []),
        (seen(np.full(8, 2.0), np.full(8, 4.0)), []),  # a factor of 2 says as much
        (seen(VAR[:7] ** 0.5, VAR[:7]), []),  # too few channels
        (seen(VAR**0.5, VAR, mean=3.0), []),  # the means are off as well
        (seen(VAR**0.9, VAR), []),
        (seen(LARGE, 12 * (LARGE / 140) ** 0.14), []),  # nearer to the root than to the variance, and no root of it
        (seen(LARGE, 12 * (LARGE / 140) ** 0.4), ["error"]),
        (seen(LARGE, 12 * (LARGE / 140) ** 0.6), ["error"]),
        (seen(LARGE, 12 * (LARGE / 140) ** 0.75), []),
        (seen(1.05 * VAR, VAR), []),
    ],
)
def test_a_power_has_to_say_more_than_a_factor(shown, found):
    whole = evidence(shown, effect=effect(stored=0.5, recalibrated=0.99))
    assert [finding.severity for finding in judge(whole)] == found


def test_what_is_certain_is_a_remark_only_where_a_cost_is_excluded():
    shown = seen(VAR**0.5, VAR)
    costs = (None, effect(predictions_changed=0.03), effect(stored=0.99, recalibrated=0.99))
    assert [next(judge(evidence(shown, effect=one))).severity for one in costs] == ["warning", "warning", "info"]


def test_one_layer_far_off_is_no_power_of_all():
    """Variances near 1 fit any power, and a sixteenth of them is near their fourth."""
    near_one = np.geomspace(0.8, 1.25, 8)
    shown = {name: seen(near_one, near_one) for name in "acd"} | {"b": seen(near_one / 16, near_one)}
    named = [replace(shown[name], layer=replace(shown[name].layer, name=name)) for name in "abcd"]
    assert fit_power(named) is None  # the exponent over all channels is near 0
    assert not list(judge(evidence(*named, effect=effect(predictions_changed=0.5))))
