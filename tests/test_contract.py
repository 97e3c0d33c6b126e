"""The contract every model format keeps: the same network gives the same layers, names and numbers.

And the numbers are right: a computation in plain numpy, which shares no code with bncheck, agrees.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import save_file
from torch import nn

import bncheck
from bncheck.results.report import Report

SAMPLES = 70
NAMES = ["stem.norm", "deep.0.norm", "last"]


class Unit(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Net(nn.Module):
    """Two convolutions with BatchNorm, and a BatchNorm1d on one value per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(2, 5, 3)
        self.deep = nn.Sequential(Unit(5, 4, 2))
        self.head = nn.Linear(4, 3)
        self.last = nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.head(self.deep(self.stem(x)).mean((2, 3))))


def build() -> nn.Module:
    return Net()


def made_net() -> Net:
    """Weights and statistics of any values, so that every layer shows a gap of its own."""
    torch.manual_seed(3)
    net = Net()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3.0)
            module.num_batches_tracked.fill_(500)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return net.eval()


def data() -> np.ndarray:
    return np.random.default_rng(5).normal(0.3, 1.2, (SAMPLES, 2, 7, 6)).astype(np.float32)


def as_module(net: nn.Module, folder: Path) -> Report:
    return bncheck.inspect(net, data())


def as_state_dict(net: nn.Module, folder: Path) -> Report:
    torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, folder / "net.pth")
    return bncheck.inspect(folder / "net.pth", data(), arch=f"{__file__}:build")


def as_safetensors(net: nn.Module, folder: Path) -> Report:
    save_file(net.state_dict(), folder / "net.safetensors")
    return bncheck.inspect(folder / "net.safetensors", data(), arch=f"{__file__}:build")


def as_shards(net: nn.Module, folder: Path) -> Report:
    state = net.state_dict()
    shards = {name: f"shard-{index % 2}.safetensors" for index, name in enumerate(state)}
    for shard in set(shards.values()):
        save_file({name: state[name] for name in state if shards[name] == shard}, folder / shard)
    (folder / "net.index.json").write_text(json.dumps({"weight_map": shards}))
    return bncheck.inspect(folder / "net.index.json", data(), arch=f"{__file__}:build")


def as_traced(net: nn.Module, folder: Path) -> Report:
    torch.jit.trace(net, torch.from_numpy(data()[:3])).save(str(folder / "traced.pt"))
    return bncheck.inspect(folder / "traced.pt", data())


def as_scripted(net: nn.Module, folder: Path) -> Report:
    torch.jit.script(net).save(str(folder / "scripted.pt"))
    return bncheck.inspect(folder / "scripted.pt", data())


def exported(net: nn.Module) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(net, (torch.from_numpy(data()[:3]),), dynamic_shapes=({0: batch},))


def as_exported(net: nn.Module, folder: Path) -> Report:
    torch.export.save(exported(net), folder / "net.pt2")
    return bncheck.inspect(folder / "net.pt2", data())


def as_decomposed(net: nn.Module, folder: Path) -> Report:
    torch.export.save(exported(net).run_decompositions(), folder / "net.pt2")
    return bncheck.inspect(folder / "net.pt2", data())


def as_compiled(net: nn.Module, folder: Path) -> Report:
    return bncheck.inspect(torch.compile(net, backend="eager"), data())


def as_pickle(net: nn.Module, folder: Path) -> Report:
    torch.save(net, folder / "net.pkl.pt")
    return bncheck.inspect(folder / "net.pkl.pt", data(), trust_pickle=True)


def onnx_file(net: nn.Module, folder: Path, **options: Any) -> Path:
    """An export that keeps BatchNorm: by default both of torch's exporters fold it away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.from_numpy(data()[:3])
        torch.onnx.export(net, (x,), folder / "net.onnx", input_names=["x"], output_names=["y"], **options)
    return folder / "net.onnx"


def as_onnx(net: nn.Module, folder: Path) -> Report:
    keeping = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    path = onnx_file(net, folder, dynamo=False, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **keeping)
    return bncheck.inspect(path, data())


def as_dynamo_onnx(net: nn.Module, folder: Path) -> Report:
    shapes = ({0: torch.export.Dim("batch")},)
    path = onnx_file(net, folder, dynamo=True, optimize=False, dynamic_shapes=shapes, verbose=False)
    return bncheck.inspect(path, data())


UNCOUNTED = [as_onnx, as_dynamo_onnx]
"""Formats that do not keep the number of updates."""
FORMATS = [
    as_module,
    as_state_dict,
    as_safetensors,
    as_shards,
    as_traced,
    as_scripted,
    as_exported,
    as_decomposed,
    as_compiled,
    as_pickle,
    *UNCOUNTED,
]


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


@pytest.mark.parametrize("inspect_as", FORMATS, ids=lambda way: way.__name__)
def test_every_format_gives_the_numbers_of_plain_numpy(
    inspect_as: Callable[[nn.Module, Path], Report], tmp_path: Path
) -> None:
    net = made_net()
    report = inspect_as(net, tmp_path)
    assert [layer.name for layer in report.layers] == NAMES
    assert [layer.status for layer in report.layers] == ["measured"] * 3
    assert [layer.kind for layer in report.layers] == ["batch_norm"] * 3
    assert [layer.stored_eps for layer in report.layers] == pytest.approx([1e-3, 1e-3, 1e-5])
    updates = None if inspect_as in UNCOUNTED else 500
    assert [layer.stored_updates for layer in report.layers] == [updates] * 3
    assert [layer.stored_momentum for layer in report.layers] == [0.1] * 3
    norms = [net.stem.norm, net.deep[0].norm, net.last]
    for layer, fed, norm in zip(report.layers, inputs_of_norms(net, data().astype(float), False), norms, strict=True):
        mean, var = moments(fed)
        np.testing.assert_allclose(layer.table.measured_mean, mean, rtol=1e-5, atol=1e-5 * np.sqrt(var.max()))
        np.testing.assert_allclose(layer.table.measured_var, var, rtol=1e-5)
        np.testing.assert_allclose(layer.table.gap, expected_gap(fed, norm), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.gap, np.sqrt((expected_gap(fed, norm) ** 2).mean()), rtol=1e-5)


@pytest.mark.parametrize("inspect_as", FORMATS, ids=lambda way: way.__name__)
def test_every_format_gives_the_own_gap_of_plain_numpy(
    inspect_as: Callable[[nn.Module, Path], Report], tmp_path: Path
) -> None:
    net = made_net()
    report = inspect_as(net, tmp_path)
    # The batch pass normalizes two halves of the samples, in the seeded order, each by itself.
    drawn = data()[np.random.default_rng(0).permutation(SAMPLES)].astype(float)
    halves = [inputs_of_norms(net, half, True) for half in (drawn[: SAMPLES // 2], drawn[SAMPLES // 2 :])]
    norms = [net.stem.norm, net.deep[0].norm, net.last]
    for layer, first, second, norm in zip(report.layers, *halves, norms, strict=True):
        gap = expected_gap(np.concatenate([first, second]), norm)
        np.testing.assert_allclose(layer.table.own_gap, gap, rtol=1e-4, atol=1e-5)


def test_all_formats_agree_on_everything_else(tmp_path: Path) -> None:
    net = made_net()
    first, *others = [inspect_as(net, tmp_path).to_dict() for inspect_as in FORMATS]
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
