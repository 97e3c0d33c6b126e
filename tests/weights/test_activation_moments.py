"""Moments of an activation of normal values, beside those of values that were drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bncheck.weights import Activation, after


class Error(nn.Module):
    """The error function."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.erf(x)


REPEATABLE = settings(derandomize=True, deadline=None, max_examples=30)
MODULES = {
    Activation.LINEAR: nn.Identity(),
    Activation.RELU: nn.ReLU(),
    Activation.LEAKY_RELU: nn.LeakyReLU(0.1),
    Activation.RELU6: nn.ReLU6(),
    Activation.SILU: nn.SiLU(),
    Activation.HARD_SWISH: nn.Hardswish(),
    Activation.GELU: nn.GELU(),
    Activation.MISH: nn.Mish(),
    Activation.ELU: nn.ELU(),
    Activation.TANH: nn.Tanh(),
    Activation.PRELU: nn.LeakyReLU(0.25),
    Activation.SIGMOID: nn.Sigmoid(),
    Activation.HARD_SIGMOID: nn.Hardsigmoid(),
    Activation.HARD_TANH: nn.Hardtanh(),
    Activation.SOFTPLUS: nn.Softplus(),
    Activation.SELU: nn.SELU(),
    Activation.ERF: Error(),
}
GAMMA = np.array([0.3, -1.0, 2.5, 1.0, 0.7])
BETA = np.array([0.1, -0.5, 1.0, 4.0, -3.0])
DRAWN = 200_000


@pytest.mark.parametrize("activation", list(Activation))
def test_means_and_variances_are_those_of_values_that_were_drawn(activation: Activation) -> None:
    normal = np.random.default_rng(0).standard_normal((DRAWN, 1))
    values = MODULES[activation](torch.from_numpy(BETA + np.abs(GAMMA) * normal)).numpy()
    found = after(activation, GAMMA, BETA, 0.25 if activation is Activation.PRELU else 0.1)
    deviations = values.std(0)
    assert np.abs(found.mean - values.mean(0)).max() < (5 * deviations / DRAWN**0.5 + 2e-3 * np.abs(GAMMA)).max()
    np.testing.assert_allclose(found.var, values.var(0), rtol=0.03, atol=1e-3)


def test_relu_by_hand() -> None:
    """Half of a standard normal is kept: mean 1/sqrt(2 pi), second moment 1/2."""
    found = after(Activation.RELU, np.ones(1), np.zeros(1))
    assert found.mean[0] == pytest.approx((2 * np.pi) ** -0.5)
    assert found.var[0] == pytest.approx(0.5 - 1 / (2 * np.pi))


def test_a_channel_without_spread_gives_the_activation_of_its_beta() -> None:
    beta = np.array([-1.0, 0.0, 2.0])
    for activation in Activation:
        found = after(activation, np.zeros(3), beta)
        expected = MODULES[activation](torch.from_numpy(beta)).numpy()
        if activation is Activation.PRELU:
            expected = np.where(beta < 0, 0.1 * beta, beta)
        np.testing.assert_allclose(found.mean, expected, atol=1e-3 if activation is Activation.GELU else 1e-12)
        np.testing.assert_allclose(found.var, 0, atol=1e-12)


def test_slopes_may_differ_by_channel() -> None:
    slopes = np.array([0.0, 1.0])
    found = after(Activation.PRELU, np.ones(2), np.full(2, 0.3), slopes)
    assert found.mean[0] == pytest.approx(after(Activation.RELU, np.ones(1), np.full(1, 0.3)).mean[0])
    assert (found.mean[1], found.var[1]) == (pytest.approx(0.3), pytest.approx(1.0))


@REPEATABLE
@given(st.floats(-30, 30), st.floats(0, 30), st.sampled_from(list(Activation)))
def test_variances_are_never_negative_and_everything_is_finite(beta: float, gamma: float, which: Activation) -> None:
    found = after(which, np.array([gamma]), np.array([beta]))
    assert np.isfinite(found.mean).all()
    assert 0 <= found.var[0] <= max(9 * gamma**2, 1e-9) + 3 * gamma**2
