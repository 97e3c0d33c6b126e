"""The networks that the model tests save in every format."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Block(nn.Module):
    """A nested block with oddly named layers of every kind."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.bn_odd_9 = nn.BatchNorm2d(width, eps=1e-3, momentum=0.03)
        self.inst = nn.InstanceNorm2d(width, affine=True, track_running_stats=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inst(torch.relu(self.bn_odd_9(self.conv(x))))


class Net(nn.Module):
    """Every kind of normalization once, BatchNorm three times."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem = Block(width)
        self.group = nn.GroupNorm(2, width)
        self.no_stats = nn.BatchNorm2d(width, track_running_stats=False)
        self.inner = nn.Sequential(nn.Conv2d(width, 6, 1), nn.BatchNorm2d(6, affine=False))
        self.layer = nn.LayerNorm(6)
        self.rms = nn.RMSNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inner(self.no_stats(self.group(self.stem(x))))
        return self.rms(self.layer(x.mean((2, 3))))


class Shared(nn.Module):
    """One BatchNorm under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(3)
        self.second = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x) * 2)


class Small(nn.Module):
    """A convolution, a BatchNorm and a classifier: what most checkpoint tests need."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn1(self.conv1(x)).mean((2, 3)))


class Hostile:
    """A pickle of it creates the file `marker` when it is read without restriction."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """`module` in eval mode with statistics and parameters that no initialization has."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.is_floating_point():
                values = torch.rand(tensor.shape, generator=generator) + 0.5
                tensor.copy_(values if name.endswith(("running_var", "weight")) else values - 1.0)
            else:
                tensor.fill_(17)
    return module.eval()


def export_program(module: nn.Module, x: torch.Tensor, dynamic_shapes: Any = None) -> torch.export.ExportedProgram:
    """torch.export without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, (x,), dynamic_shapes=dynamic_shapes)


def save_program(exported: torch.export.ExportedProgram, path: Path) -> Path:
    """torch.export.save without its warnings; gives the path back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(exported, path)
    return path


def rewritten(archive: Path, path: Path, change: Callable[[str, bytes], bytes | str | None]) -> Path:
    """A copy of the archive whose records `change(name, content)` may replace (`None` leaves a record out)."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                target.writestr(name, content)
    return path


def torch_pickle(value: object, folder: Path, **options: Any) -> bytes:
    """The bytes that torch.save writes."""
    torch.save(value, folder / "scratch", **options)
    return (folder / "scratch").read_bytes()
