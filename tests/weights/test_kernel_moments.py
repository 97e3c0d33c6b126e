"""What a convolution makes of means and variances, beside what it makes of values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bncheck.weights.prediction.kernels import Border, borders_of, inside, kernel_of

SIDE = 10
LAYERS = {
    "3x3": nn.Conv2d(6, 8, 3, 1, 1),
    "1x1": nn.Conv2d(6, 8, 1),
    "depthwise": nn.Conv2d(6, 12, 3, 1, 1, groups=6),
    "grouped": nn.Conv2d(6, 8, 3, 1, 1, groups=2, bias=False),
    "5 long": nn.Conv1d(6, 8, 5, 1, 2),
}


def found(layer: nn.Module, groups: int, means: np.ndarray, share: float) -> np.ndarray:
    kernel = kernel_of(layer.weight, layer.bias, groups)
    bias = 0.0 if kernel.bias is None else kernel.bias
    return kernel.means(means[:, None])[0] @ inside(kernel, Border(share, share)) + bias


@pytest.mark.parametrize("name", LAYERS)
def test_means_are_those_of_a_convolution_less_what_its_padding_takes(name: str) -> None:
    """Of constant maps they are exact: at a share 1 / side of the positions a tap one off the middle meets zeros."""
    torch.manual_seed(0)
    layer = LAYERS[name]
    means = np.linspace(-1, 2, 6)
    axes = layer.weight.dim() - 2
    maps = torch.from_numpy(means).float().reshape(1, 6, *[1] * axes).expand(1, 6, *[SIDE] * axes)
    with torch.no_grad():
        expected = layer(maps).mean(tuple(range(2, 2 + axes)))[0]
    np.testing.assert_allclose(found(layer, layer.groups, means, 1 / SIDE), expected, rtol=1e-4, atol=1e-5)


def test_means_of_a_linear_layer() -> None:
    layer = nn.Linear(6, 4)
    means = np.linspace(-1, 2, 6)
    with torch.no_grad():
        expected = layer(torch.from_numpy(means).float())
    np.testing.assert_allclose(found(layer, 1, means, 0.3), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_variances_lie_at_both_ends_of_what_values_beside_each_other_may_have_in_common(name: str) -> None:
    """First values that are all independent, then maps of one value each; away from the border."""
    torch.manual_seed(0)
    layer = LAYERS[name]
    deviations = torch.linspace(0.5, 2, 6)
    axes = layer.weight.dim() - 2
    shape = [1, 6, *[1] * axes]
    taps = 3 if axes == 2 else 5
    noise = torch.randn(4000, 6, *[taps] * axes) * deviations.reshape(shape)
    apart, together = kernel_of(layer.weight, layer.bias, layer.groups).variances(deviations.double().square().numpy())
    middle = (slice(None), slice(None), *[taps // 2] * axes)
    with torch.no_grad():
        np.testing.assert_allclose(apart, layer(noise)[middle].var(0), rtol=0.15)
        constant = noise[middle].reshape(-1, 6, *[1] * axes).expand_as(noise)
        np.testing.assert_allclose(together, layer(constant)[middle].var(0), rtol=0.15)


def test_half_precision_weights_are_summed_in_float32() -> None:
    layer = nn.Conv2d(6, 8, 3)
    halves = kernel_of(layer.weight.half(), layer.bias.half(), 1)
    exact = kernel_of(layer.weight, layer.bias, 1)
    assert halves.weight.dtype == np.float32
    np.testing.assert_allclose(halves.means(np.ones((6, 1))), exact.means(np.ones((6, 1))), atol=1e-2)


def test_a_pointwise_kernel_meets_no_border() -> None:
    assert len(borders_of(kernel_of(nn.Conv2d(6, 8, 1).weight, None, 1))) == 1
    assert len(borders_of(kernel_of(nn.Conv2d(6, 8, 3).weight, None, 1))) > 10
