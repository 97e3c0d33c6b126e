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


UNCOUNTED = [as_onnx, as_dynamo_onnx]
"""Formats that do not keep the number of updates."""
OF_FORMAT = {
    "module": [as_module, as_compiled, as_pickle],
    "state_dict": [as_state_dict],
    "safetensors": [as_safetensors, as_shards],
    "torchscript": [as_traced, as_scripted],
    "exported": [as_exported, as_decomposed],
    "onnx": UNCOUNTED,
}
"""By the contract's name of the format, every way in which the network is written in it."""
FORMATS = [way for ways in OF_FORMAT.values() for way in ways]
