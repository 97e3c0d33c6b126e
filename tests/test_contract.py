"""The contract every model format keeps: the same network gives the same layers, names and numbers.

And the numbers are right: a computation in plain numpy, which shares no code with bncheck, agrees.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from contract_nets import FORMATS, NAMES, SAMPLES, UNCOUNTED, Net, Written, data, made_net
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

import bncheck
from bncheck.results.report import Report
from bncheck.testing import ReferenceNumbers, check_backend, reference_numbers

Way = Callable[[nn.Module, Path], Written]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Way], Written]:
    """The network of `made_net` in any format, written once."""
    return cache(lambda way: way(made_net(), tmp_path_factory.mktemp(way.__name__)))


@pytest.fixture(scope="module")
def inspected(written: Callable[[Way], Written]) -> Callable[[Way], Report]:
    """The report on the network in any format, made once."""
    return cache(lambda way: bncheck.inspect(written(way).model, data(), **written(way).how))


@pytest.fixture(scope="module")
def numbers() -> ReferenceNumbers:
    return reference_numbers(made_net(), data())


def convolve(x: np.ndarray, conv: nn.Conv2d) -> np.ndarray:
    weight, bias = conv.weight.detach().double().numpy(), conv.bias.detach().double().numpy()
    windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    return np.einsum("ncijhw,ochw->noij", windows, weight) + bias[:, None, None]


def normalize(x: np.ndarray, mean: np.ndarray, var: np.ndarray, norm: nn.Module) -> np.ndarray:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    scaled = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + norm.eps)
    return scaled * gamma.reshape(shape) + beta.reshape(shape)


def stored(norm: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    return norm.running_mean.double().numpy(), norm.running_var.double().numpy()


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = (0, *range(2, x.ndim))
    return x.mean(axes), x.var(axes)


def inputs_of_norms(net: Net, x: np.ndarray, by_batch: bool) -> list[np.ndarray]:
    """What each BatchNorm is fed, in plain numpy and float64."""
    fed = []

    def norm(value: np.ndarray, module: nn.Module) -> np.ndarray:
        fed.append(value)
        return normalize(value, *(moments(value) if by_batch else stored(module)), module)

    y = np.maximum(norm(convolve(x, net.stem.conv), net.stem.norm), 0)
    y = np.maximum(norm(convolve(y, net.deep[0].conv), net.deep[0].norm), 0)
    weight, bias = net.head.weight.detach().double().numpy(), net.head.bias.detach().double().numpy()
    norm(y.mean((2, 3)) @ weight.T + bias, net.last)
    return fed


def expected_gap(fed: np.ndarray, norm: nn.Module) -> np.ndarray:
    """The definition: RMS difference between the outputs normalized by the data's and by the stored statistics."""
    shape = (1, -1) + (1,) * (fed.ndim - 2)
    mean, var = (value.reshape(shape) for value in stored(norm))
    own_mean, own_var = (value.reshape(shape) for value in moments(fed))
    difference = (fed - own_mean) / np.sqrt(own_var + norm.eps) - (fed - mean) / np.sqrt(var + norm.eps)
    return np.sqrt((difference**2).mean((0, *range(2, fed.ndim))))


@pytest.mark.parametrize("way", FORMATS, ids=lambda way: way.__name__)
def test_every_format_gives_the_numbers_of_plain_numpy(way: Way, inspected: Callable[[Way], Report]) -> None:
    net = made_net()
    report = inspected(way)
    assert [layer.name for layer in report.layers] == NAMES
    assert [layer.status for layer in report.layers] == ["measured"] * 3
    assert [layer.kind for layer in report.layers] == ["batch_norm"] * 3
    assert [layer.stored_eps for layer in report.layers] == pytest.approx([1e-3, 1e-3, 1e-5])
    updates = None if way in UNCOUNTED else 500
    assert [layer.stored_updates for layer in report.layers] == [updates] * 3
    assert [layer.stored_momentum for layer in report.layers] == [0.1] * 3
    norms = [net.stem.norm, net.deep[0].norm, net.last]
    for layer, fed, norm in zip(report.layers, inputs_of_norms(net, data().astype(float), False), norms, strict=True):
        mean, var = moments(fed)
        np.testing.assert_allclose(layer.table.measured_mean, mean, rtol=1e-5, atol=1e-5 * np.sqrt(var.max()))
        np.testing.assert_allclose(layer.table.measured_var, var, rtol=1e-5)
        np.testing.assert_allclose(layer.table.gap, expected_gap(fed, norm), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.gap, np.sqrt((expected_gap(fed, norm) ** 2).mean()), rtol=1e-5)


@pytest.mark.parametrize("way", FORMATS, ids=lambda way: way.__name__)
def test_every_format_gives_the_own_gap_of_plain_numpy(way: Way, inspected: Callable[[Way], Report]) -> None:
    net = made_net()
    report = inspected(way)
    # The batch pass normalizes two halves of the samples, in the seeded order, each by itself.
    drawn = data()[np.random.default_rng(0).permutation(SAMPLES)].astype(float)
    halves = [inputs_of_norms(net, half, True) for half in (drawn[: SAMPLES // 2], drawn[SAMPLES // 2 :])]
    norms = [net.stem.norm, net.deep[0].norm, net.last]
    for layer, first, second, norm in zip(report.layers, *halves, norms, strict=True):
        gap = expected_gap(np.concatenate([first, second]), norm)
        np.testing.assert_allclose(layer.table.own_gap, gap, rtol=1e-4, atol=1e-5)


def test_all_formats_agree_on_everything_else(inspected: Callable[[Way], Report]) -> None:
    first, *others = [inspected(way).to_dict() for way in FORMATS]
    for other in others:
        assert other["summary"]["verdict"] == first["summary"]["verdict"]
        assert [(f["code"], f["severity"]) for f in other["findings"]] == [
            (f["code"], f["severity"]) for f in first["findings"]
        ]
        alone, expected_alone = (one["findings"][0]["evidence"]["output_change_alone"] for one in (other, first))
        assert alone == pytest.approx(expected_alone, rel=1e-3)
        assert len(alone) == 3
        for row, expected in zip(other["batch_sizes"], first["batch_sizes"], strict=True):
            assert row == pytest.approx(expected, rel=1e-5)
        assert other["effect"]["output_change"] == pytest.approx(first["effect"]["output_change"], rel=1e-4)


@pytest.mark.parametrize("way", FORMATS, ids=lambda way: way.__name__)
def test_every_format_keeps_the_contract_of_backends(
    way: Way, written: Callable[[Way], Written], numbers: ReferenceNumbers
) -> None:
    check_backend(written(way).model, numbers, **written(way).how)


def test_the_reference_numbers_are_those_of_plain_numpy(numbers: ReferenceNumbers) -> None:
    net = made_net()
    assert [layer.name for layer in numbers.layers] == NAMES
    shipped, by_batch = (inputs_of_norms(net, data().astype(float), way) for way in (False, True))
    for layer, fed, batch_fed in zip(numbers.layers, shipped, by_batch, strict=True):
        found = (layer.mean, layer.var, layer.batch_mean, layer.batch_var)
        for got, wanted in zip(found, (*moments(fed), *moments(batch_fed)), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    last = normalize(shipped[-1], *stored(net.last), net.last)
    np.testing.assert_allclose(numbers.outputs, last, rtol=1e-10, atol=1e-12)
