"""One network, written in every format, for the contract that all formats keep."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from bncheck.formats.keras.running.library import keras_module

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


@dataclass(frozen=True)
class Written:
    """The network in some format: a path or an object, and how it is opened."""

    model: Any
    how: Mapping[str, Any] = field(default_factory=dict)


def as_module(net: nn.Module, folder: Path) -> Written:
    return Written(net)


def as_state_dict(net: nn.Module, folder: Path) -> Written:
    torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, folder / "net.pth")
    return Written(folder / "net.pth", {"arch": f"{__file__}:build"})


def as_safetensors(net: nn.Module, folder: Path) -> Written:
    save_file(net.state_dict(), folder / "net.safetensors")
    return Written(folder / "net.safetensors", {"arch": f"{__file__}:build"})


def as_shards(net: nn.Module, folder: Path) -> Written:
    state = net.state_dict()
    shards = {name: f"shard-{index % 2}.safetensors" for index, name in enumerate(state)}
    for shard in set(shards.values()):
        save_file({name: state[name] for name in state if shards[name] == shard}, folder / shard)
    (folder / "net.index.json").write_text(json.dumps({"weight_map": shards}))
    return Written(folder / "net.index.json", {"arch": f"{__file__}:build"})


def as_traced(net: nn.Module, folder: Path) -> Written:
    torch.jit.trace(net, torch.from_numpy(data()[:3])).save(str(folder / "traced.pt"))
    return Written(folder / "traced.pt")


def as_scripted(net: nn.Module, folder: Path) -> Written:
    torch.jit.script(net).save(str(folder / "scripted.pt"))
    return Written(folder / "scripted.pt")


def exported(net: nn.Module) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(net, (torch.from_numpy(data()[:3]),), dynamic_shapes=({0: batch},))


def as_exported(net: nn.Module, folder: Path) -> Written:
    torch.export.save(exported(net), folder / "net.pt2")
    return Written(folder / "net.pt2")


def as_decomposed(net: nn.Module, folder: Path) -> Written:
    torch.export.save(exported(net).run_decompositions(), folder / "net.pt2")
    return Written(folder / "net.pt2")


def as_compiled(net: nn.Module, folder: Path) -> Written:
    return Written(torch.compile(net, backend="eager"))


def as_pickle(net: nn.Module, folder: Path) -> Written:
    torch.save(net, folder / "net.pkl.pt")
    return Written(folder / "net.pkl.pt", {"trust_pickle": True})


def onnx_file(net: nn.Module, folder: Path, **options: Any) -> Path:
    """An export that keeps BatchNorm: by default both of torch's exporters fold it away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.from_numpy(data()[:3])
        torch.onnx.export(net, (x,), folder / "net.onnx", input_names=["x"], output_names=["y"], **options)
    return folder / "net.onnx"


def as_onnx(net: nn.Module, folder: Path) -> Written:
    keeping = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    path = onnx_file(net, folder, dynamo=False, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **keeping)
    return Written(path)


def as_dynamo_onnx(net: nn.Module, folder: Path) -> Written:
    shapes = ({0: torch.export.Dim("batch")},)
    path = onnx_file(net, folder, dynamo=True, optimize=False, dynamic_shapes=shapes, verbose=False)
    return Written(path)


def as_keras(net: nn.Module, folder: Path) -> Written:
    """Keras' own way: channels last, so that every normalization has them on the last axis."""
    return Written(saved_by_keras(keras_net(net, "channels_last"), folder / "net.keras"))


def as_keras_h5(net: nn.Module, folder: Path) -> Written:
    return Written(saved_by_keras(keras_net(net, "channels_first"), folder / "net.h5"))


def saved_by_keras(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():  # of NumPy, about Keras; of Keras, about HDF5
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def keras_net(net: Any, layout: str) -> Any:
    """The same network of Keras' layers, with the names that PyTorch gives its own."""
    keras = keras_module()
    axis = 1 if layout == "channels_first" else -1

    def unit(own: Unit, name: str, shape: tuple[int | None, ...]) -> Any:
        inputs = keras.Input(shape)
        conv = keras.layers.Conv2D(own.conv.out_channels, own.conv.kernel_size, data_format=layout, name="conv")
        norm = keras.layers.BatchNormalization(axis, momentum=0.9, epsilon=own.norm.eps, name="norm")
        built = keras.Model(inputs, keras.layers.ReLU()(norm(conv(inputs))), name=name)
        conv.set_weights([own.conv.weight.detach().permute(2, 3, 1, 0).numpy(), own.conv.bias.detach().numpy()])
        norm.set_weights(of_norm(own.norm))
        return built

    def of_norm(own: Any) -> list[np.ndarray]:
        return [one.detach().numpy() for one in (own.weight, own.bias, own.running_mean, own.running_var)]

    inputs = keras.Input((2, 7, 6))
    first = inputs if axis == 1 else keras.layers.Permute((2, 3, 1))(inputs)
    stem = unit(net.stem, "stem", tuple(first.shape[1:]))
    middle = stem(first)
    deep = keras.Sequential([unit(net.deep[0], "0", tuple(middle.shape[1:]))], name="deep")
    head = keras.layers.Dense(3, name="head")
    last = keras.layers.BatchNormalization(momentum=0.9, epsilon=net.last.eps, name="last")
    pooled = keras.layers.GlobalAveragePooling2D(data_format=layout)(deep(middle))
    built = keras.Model(inputs, last(head(pooled)))
    head.set_weights([net.head.weight.detach().T.numpy(), net.head.bias.detach().numpy()])
    last.set_weights(of_norm(net.last))
    return built


UNCOUNTED = [as_onnx, as_dynamo_onnx, as_keras, as_keras_h5]
"""Formats that do not keep the number of updates."""
OF_FORMAT = {
    "module": [as_module, as_compiled, as_pickle],
    "state_dict": [as_state_dict],
    "safetensors": [as_safetensors, as_shards],
    "torchscript": [as_traced, as_scripted],
    "exported": [as_exported, as_decomposed],
    "onnx": [as_onnx, as_dynamo_onnx],
    "keras": [as_keras, as_keras_h5],
}
"""By the contract's name of the format, every way in which the network is written in it."""
FORMATS = [way for ways in OF_FORMAT.values() for way in ways]
