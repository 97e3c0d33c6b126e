"""Checkpoints as people write them: modules of a package that is not there, copies, and all kinds of objects."""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import functools
import os
import pathlib
import pickle
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

PACKAGE = "gone_zoo"
CODE = '''
import pathlib
import torch
from torch import nn


class Gate(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Norm(nn.BatchNorm2d):
    """Named so that nothing tells what it is."""


class FrozenBatchNorm2d(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.eps = 1e-5
        for name, value in (("weight", 1.5), ("bias", 0.5), ("running_mean", 0.25), ("running_var", 0.75)):
            self.register_buffer(name, torch.full((width,), value))

    def forward(self, x):
        scale = (self.weight * (self.running_var + self.eps).rsqrt()).reshape(1, -1, 1, 1)
        return (x - self.running_mean.reshape(1, -1, 1, 1)) * scale + self.bias.reshape(1, -1, 1, 1)


class Block(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, 3, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=1e-3, momentum=0.03)
        self.act = Gate()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(Block(2, 4), Block(4, 6))
        for index, layer in enumerate(self.model):
            layer.i, layer.f, layer.type = index, -1, "gone_zoo.Block"
        self.norm = Norm(6, affine=False)
        self.frozen = FrozenBatchNorm2d(6)
        self.group = nn.GroupNorm(2, 6)
        self.head = nn.Linear(6, 3)
        self.names = {0: "cat", 1: "dog"}

    def forward(self, x):
        return self.head(self.group(self.frozen(self.norm(self.model(x)))).mean((2, 3)))


class Settings(dict):
    """A dictionary with a class of its own."""


class Canary:
    """Does something when it is made again, told its state, or called."""

    def __init__(self, marker):
        self.marker = marker

    def __setstate__(self, state):
        pathlib.Path(state["marker"]).touch()


def build():
    return Detector()
'''


class Runs:
    """A pickle of it calls `maker` with the arguments when it is read without restriction."""

    def __init__(self, maker: Any, *arguments: Any) -> None:
        self.call = maker, arguments

    def __reduce__(self) -> Any:
        return self.call


@contextlib.contextmanager
def package() -> Iterator[Any]:
    """The package, which is there while it is active."""
    made = types.ModuleType(PACKAGE)
    exec(CODE, made.__dict__)
    for value in list(vars(made).values()):
        if isinstance(value, type) and value.__module__ == "builtins":
            value.__module__ = PACKAGE
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, PACKAGE, made)
        yield made


@functools.cache
def detector_state() -> dict[str, torch.Tensor]:
    """Values that no initialization has."""
    with package() as zoo:
        torch.manual_seed(2)
        net = zoo.Detector()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.3, 2.0)
                module.num_batches_tracked.fill_(700)
                if module.affine:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.normal_(module.bias)
        return net.state_dict()


def checkpoint(zoo: Any, marker: Path, **changed: Any) -> dict[str, Any]:
    """A training's checkpoint: the module in half precision, its average, an optimizer, and all kinds of objects."""
    net = zoo.Detector()
    net.load_state_dict(detector_state())
    average = copy.deepcopy(net).eval()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.randn(2, 2, 7, 7)).sum().backward()
    optimizer.step()
    net.zero_grad(set_to_none=True)
    net.load_state_dict(detector_state())
    command = f"touch '{marker}'"
    return {
        "epoch": 7,
        "model": net.train().half(),
        "ema": average.half(),
        "optimizer": optimizer,
        "args": argparse.Namespace(lr=0.1, save_dir=pathlib.Path("runs/7")),
        "losses": collections.defaultdict(list, {"box": [1.0, 0.5]}),
        "best": np.float64(0.75),
        "curve": np.linspace(0, 1, 5, dtype=np.float32),
        "type": np.dtype("<f8"),
        "device": torch.device("cuda", 1),
        "size": torch.Size([2, 3]),
        "counts": collections.Counter("aab"),
        "seen": {1, 2},
        "make": functools.partial(print, "x", sep=""),
        "method": net.head.forward,
        "settings": zoo.Settings(width=6),
        "shell": Runs(os.system, command),
        "code": Runs(exec, f"import pathlib; pathlib.Path({str(marker)!r}).touch()"),
        "canary": zoo.Canary(str(marker)),
        **changed,
    }


FORMS: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 4": {"pickle_protocol": 4},
    "stream": {"_use_new_zipfile_serialization": False},
    "stream, protocol 4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
}


def save(content: Any, path: Path, **how: Any) -> Path:
    """As `torch.save` does, or `pickle` for `protocol=`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch looks for the text of the classes
        if "protocol" in how:
            path.write_bytes(pickle.dumps(content, **how))
        else:
            torch.save(content, path, **how)
    return path


def saved(folder: Path, form: str = "zip", **changed: Any) -> Path:
    """The checkpoint in a file; the package is gone once it is written."""
    with package() as zoo:
        return save(checkpoint(zoo, folder / "marker", **changed), folder / "best.pt", **FORMS[form])


def with_package(folder: Path) -> Path:
    """A file with the package's code, to be named as an architecture."""
    (folder / "their_code.py").write_text(CODE)
    return folder / "their_code.py"
