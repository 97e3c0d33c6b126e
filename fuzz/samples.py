"""One valid file of every format, made once: what is changed, and what stands beside a hostile file."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

CODE = "net.py"
ARCH = ("--arch", f"{CODE}:build")
CHANNELS, SIZE, SAMPLES, CLASSES = 3, 6, 24, 3
NET = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.bn(self.conv(x))).mean((2, 3)))


def build():
    return Net()
"""
ROWS = """import torch
from torch import nn


def build():
    return nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
"""
"""A network for tables of three columns."""


class Net(nn.Module):
    """The same as in `NET`; TorchScript wants to see its source."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classes of images."""
        return self.head(torch.relu(self.bn(self.conv(x))).mean((2, 3)))


def images(samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
    """Images, float32."""
    return np.random.default_rng(seed).normal(size=(samples, CHANNELS, SIZE, SIZE)).astype(np.float32)


LABELS = np.arange(SAMPLES) % CLASSES


@cache
def net() -> Net:
    """A network with statistics of the images."""
    torch.manual_seed(0)
    made = Net()
    with torch.no_grad():
        for seed in range(60):
            made(torch.from_numpy(images(seed=seed)))
    return made.eval()


@cache
def weights() -> dict[str, torch.Tensor]:
    """Its state dict."""
    return net().state_dict()


def saved(content: object, **options: object) -> bytes:
    """What `torch.save` writes."""
    stream = io.BytesIO()
    torch.save(content, stream, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def zipped(**arrays: np.ndarray) -> bytes:
    """What `numpy.savez` writes."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@cache
def torchscript() -> bytes:
    """The network as a TorchScript archive."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(net()), stream)
    return stream.getvalue()


@cache
def exported() -> bytes:
    """The network as a `.pt2` archive."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(net(), (torch.from_numpy(images(2)),), dynamic_shapes=sizes), stream)
    return stream.getvalue()


@cache
def beside() -> dict[str, bytes]:
    """Sound files that commands need beside a hostile one."""
    torch.manual_seed(1)
    rows = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)).state_dict()
    return {
        CODE: NET.encode(),
        "rows.py": ROWS.encode(),
        "good.pth": saved(weights()),
        "rows.pth": saved(rows | {"0.num_batches_tracked": torch.tensor(500)}),
        "good.npz": zipped(x=images(), y=LABELS),
        "canary.bin": bytes(64),
    }


@cache
def reports() -> dict[str, bytes]:
    """A report with findings, and the baseline that accepts them; written by bncheck itself."""
    import tempfile

    from fuzz.running import call

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in beside().items():
            (folder / file).write_bytes(content)
        (folder / "shifted.npz").write_bytes(zipped(x=images() * 3 + 2, y=LABELS))
        command = ["inspect", "good.pth", *ARCH, "--data", "shifted.npz", "--no-config", "--report", "report.json"]
        # The page makes the libraries that draw it fill their caches, which no hostile file is to be blamed for.
        done = call([*command, "--write-baseline", "baseline.json", "--report", "page.html"], folder)
        if done.code not in (0, 1):
            raise RuntimeError(f"no report was written: {done}")
        return {name: (folder / name).read_bytes() for name in ("report.json", "baseline.json")}
