"""The same network in every format that has a graph: the same layers feed each other, through the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bncheck.formats import from_module, open_model
from bncheck.formats.backend import Backend
from bncheck.formats.keras.running.library import keras_module
from bncheck.vocabulary import Unpredicted
from bncheck.weights.prediction.fitting import fits_of
from bncheck.weights.prediction.wired_pairs import wired_pairs
from tests.weights.block_nets import SIDE, Block, measured, samples, unit
from tests.weights.wired_nets import WIDTH, Beside, Halves


class Shortcut(nn.Module):
    """Every second position, and channels of zeros around: the parameter-free shortcut of He et al. 2016."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x[:, :, ::2, ::2], [0, 0, 0, 0, 12, 12])


class Down(nn.Module):
    """A block that halves the positions and doubles the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * WIDTH)
        self.shortcut = Shortcut()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn(self.conv(x)) + self.shortcut(x))


class Swish(nn.Module):
    """SiLU as many write it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


def everything() -> nn.Module:
    """A network with every kind of edge."""
    return nn.Sequential(
        *unit(3, WIDTH),
        Block(WIDTH),
        Block(WIDTH, first=True),
        *unit(WIDTH, WIDTH, act=nn.ReLU6, groups=WIDTH),
        *unit(WIDTH, WIDTH, act=lambda: nn.PReLU(WIDTH)),
        *unit(WIDTH, WIDTH, act=lambda: nn.LeakyReLU(0.2)),
        Beside(WIDTH),
        Beside(WIDTH, added=True),
        Halves(chunked=False),
        *unit(WIDTH, WIDTH, act=nn.Hardswish),
        nn.AvgPool2d(2),
        *unit(WIDTH, WIDTH, act=Swish),
        nn.Upsample(scale_factor=2),
        *unit(WIDTH, WIDTH, act=nn.GELU, groups=3),
        nn.ZeroPad2d(1),
        *unit(WIDTH, WIDTH, act=nn.ELU),
        nn.MaxPool2d(3, 1),
        *unit(WIDTH, WIDTH, act=nn.Sigmoid),
        nn.ConvTranspose2d(WIDTH, WIDTH, 3, 1, 1),
        nn.BatchNorm2d(WIDTH),
        nn.Tanh(),
        Down(),
        nn.Dropout(),
        *unit(2 * WIDTH, 4, act=nn.SiLU),
        nn.Flatten(),
        nn.Linear(4 * 36, 20),
        nn.BatchNorm1d(20),
        nn.ReLU(inplace=True),
        nn.Linear(20, 7),
        nn.BatchNorm1d(7),
    )


@lru_cache
def net() -> nn.Module:
    return measured(everything())


def told(model: Backend) -> dict[str, Any]:
    """By layer what it is fed by and through what, and how far its means are off; or why that is not known."""
    wiring = model.wiring()
    assert wiring is not None
    pairs, reasons = wired_pairs(wiring, model.layers)
    found = {}
    for pair in pairs:
        (fit,) = fits_of(pair).values()
        found[pair.target.name] = (pair.source.name, pair.form, round(fit.distance, 3))
    return found | reasons


def spelled(one: Any) -> str:
    """Without dots, which Keras does not take in names."""
    return str(one).replace(".", "_")


@lru_cache
def expected() -> dict[str, Any]:
    return told(from_module(net()))


def scripted(folder: Path) -> Path:
    torch.jit.script(net()).save(folder / "net.pt")
    return folder / "net.pt"


def traced(folder: Path) -> Path:
    torch.jit.trace(net(), samples()).save(folder / "net.pt")
    return folder / "net.pt"


def exported(folder: Path) -> Path:
    torch.export.save(torch.export.export(net(), (samples(),)), folder / "net.pt2")
    return folder / "net.pt2"


def decomposed(folder: Path) -> Path:
    torch.export.save(torch.export.export(net(), (samples(),)).run_decompositions(), folder / "net.pt2")
    return folder / "net.pt2"


def as_onnx(folder: Path) -> Path:
    mode = torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(net(), (samples(),), folder / "net.onnx", dynamo=False, training=mode, do_constant_folding=True)
    return folder / "net.onnx"


def test_most_of_it_is_followed() -> None:
    reasons = {name: reason for name, reason in expected().items() if isinstance(reason, Unpredicted)}
    assert set(reasons.values()) == {Unpredicted.FED_BY_INPUT, Unpredicted.LARGEST}
    assert len(reasons) == 2
    assert len(expected()) == len(from_module(net()).layers)


@pytest.mark.parametrize("write", [scripted, traced, exported, decomposed, as_onnx])
def test_every_format_tells_the_same(write: Callable[[Path], Path], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write(tmp_path)
    found = told(open_model(path))
    if write is decomposed:  # what PReLU is decomposed into compares values with 0
        assert found.pop("12") is Unpredicted.UNKNOWN_OPERATION
        assert found == {name: one for name, one in expected().items() if name != "12"}
    else:
        assert found == expected()


def test_a_script_that_was_frozen_tells_the_same() -> None:
    """Its layers have lost their names, and nothing else."""
    frozen = torch.jit.freeze(torch.jit.script(net()), optimize_numerics=False)
    model = from_module(frozen)
    told_forms = [one[1:] if isinstance(one, tuple) else one for one in told(model).values()]
    wanted = [one[1:] if isinstance(one, tuple) else one for one in expected().values()]
    assert sorted(map(str, told_forms)) == sorted(map(str, wanted))


class Mobile(nn.Module):
    """A depthwise and a pointwise convolution around which the input goes."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.n1 = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, groups=WIDTH), nn.BatchNorm2d(WIDTH)
        self.point, self.n2 = nn.Conv2d(WIDTH, WIDTH, 1), nn.BatchNorm2d(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = nn.functional.relu6(self.n1(self.deep(x)))
        return nn.functional.silu(x + self.n2(self.point(inner)))


class Joining(nn.Module):
    """A stem, two such blocks, both outputs beside each other, transposed, and a head of linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.n0 = nn.Conv2d(3, WIDTH, 3, 1, 1), nn.BatchNorm2d(WIDTH)
        self.a, self.b = Mobile(), Mobile()
        self.up, self.n1 = nn.ConvTranspose2d(2 * WIDTH, 6, 2, 2), nn.BatchNorm2d(6)
        self.f1, self.n2 = nn.Linear(6 * SIDE**2, 9), nn.BatchNorm1d(9)
        self.f2, self.n3 = nn.Linear(9, 5), nn.BatchNorm1d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.leaky_relu(self.n0(self.stem(x)), 0.3)
        a = self.a(x)
        x = self.n1(self.up(torch.cat([a, self.b(a)], 1)))
        x = torch.relu(nn.functional.avg_pool2d(x, 2)).flatten(1)
        return self.n3(self.f2(nn.functional.gelu(self.n2(self.f1(x)))))


def keras_of(net: Joining) -> Any:
    """The same network of Keras' layers, channels last, with the names that PyTorch gives its own."""
    keras = keras_module()
    layers = keras.layers
    made: list[tuple[Any, list[np.ndarray]]] = []

    def values(*tensors: torch.Tensor) -> list[np.ndarray]:
        return [tensor.detach().numpy() for tensor in tensors]

    def add(layer: Any, *held: torch.Tensor) -> Any:
        made.append((layer, values(*held)))
        return layer

    def norm(own: Any, name: str) -> Any:
        layer = layers.BatchNormalization(epsilon=own.eps, name=name)
        return add(layer, own.weight, own.bias, own.running_mean, own.running_var)

    def mobile(own: Mobile, x: Any, name: str) -> Any:
        deep = add(layers.DepthwiseConv2D(3, padding="same"), own.deep.weight.permute(2, 3, 0, 1), own.deep.bias)
        point = add(layers.Conv2D(WIDTH, 1), own.point.weight.permute(2, 3, 1, 0), own.point.bias)
        inner = layers.ReLU(6.0)(norm(own.n1, f"{name}_n1")(deep(x)))
        return layers.Activation("silu")(layers.Add()([x, norm(own.n2, f"{name}_n2")(point(inner))]))

    inputs = keras.Input((SIDE, SIDE, 3))
    stem = add(layers.Conv2D(WIDTH, 3, padding="same"), net.stem.weight.permute(2, 3, 1, 0), net.stem.bias)
    x = layers.LeakyReLU(negative_slope=0.3)(norm(net.n0, "n0")(stem(inputs)))
    a = mobile(net.a, x, "a")
    up = add(layers.Conv2DTranspose(6, 2, 2), net.up.weight.permute(2, 3, 1, 0), net.up.bias)
    x = norm(net.n1, "n1")(up(layers.Concatenate()([a, mobile(net.b, a, "b")])))
    x = layers.Flatten()(layers.ReLU()(layers.AveragePooling2D(2)(x)))
    first = net.f1.weight.reshape(9, 6, SIDE**2).transpose(1, 2).reshape(9, -1).t()
    x = norm(net.n2, "n2")(add(layers.Dense(9), first, net.f1.bias)(x))
    x = norm(net.n3, "n3")(add(layers.Dense(5), net.f2.weight.t(), net.f2.bias)(keras.activations.gelu(x)))
    built = keras.Model(inputs, x)
    for layer, held in made:
        layer.set_weights(held)
    return built


@pytest.mark.slow
@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_a_keras_configuration_tells_the_same(name: str, tmp_path: Path) -> None:
    own = measured(Joining())
    assert isinstance(own, Joining)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras_of(own).save(tmp_path / name)
    wanted = told(from_module(own))
    found = told(open_model(tmp_path / name))
    assert sorted(map(spelled, found.items())) == sorted(map(spelled, wanted.items()))
    assert sum(isinstance(one, tuple) for one in wanted.values()) == 6
