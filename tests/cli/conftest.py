"""The files that the commands are called with, written once."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_files import Files
from torch import nn
from users_code import Idle, Net, images


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


class _MakeFolder:
    """A pickle of it makes a folder when it is read without restriction."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    _write_models(folder)
    _write_data(folder)
    return Files(folder)


def fitted(net: Net, shift: float = 0.0) -> Net:
    """In eval mode, with the statistics of the images, moved by `shift` standard deviations."""
    with torch.no_grad():
        net.norm.running_mean.fill_(1.0 + 2.0 * shift)
        net.norm.running_var.fill_(4.0)
        net.norm.num_batches_tracked.fill_(10_000)
        net.norm.bias.copy_(torch.tensor([0.1, -0.2]))
        net.head.bias.zero_()
        net.head.weight.copy_(torch.linspace(-1, 1, net.head.weight.numel()).reshape(net.head.weight.shape))
    return net.eval()


def _write_models(folder: Path) -> None:
    torch.save(fitted(Net()).state_dict(), folder / "healthy.pt")
    torch.save(fitted(Net(), shift=3.0).state_dict(), folder / "drifted.pt")
    torch.save(fitted(Net(outputs=1), shift=3.0).state_dict(), folder / "drifted_regression.pt")
    torch.save(fitted(Net(auxiliary=True)).state_dict(), folder / "with_auxiliary.pt")
    never = fitted(Net())
    never.norm.reset_running_stats()
    script(never, folder / "never_updated.torchscript")
    script(fitted(Net()), folder / "runnable.torchscript")
    script(nn.Sequential(nn.Conv2d(2, 3, 3)).eval(), folder / "folded.torchscript")
    script(nn.Sequential(nn.GroupNorm(1, 2)).eval(), folder / "group_norm.torchscript")
    script(fitted(Idle()), folder / "idle.torchscript")
    broken = fitted(Net())
    broken.norm.running_var[1] = float("nan")
    script(broken, folder / "not_finite.torchscript")
    torch.save(fitted(Net(outputs=5)).state_dict(), folder / "five_outputs.pt")
    torch.save({"model": fitted(Net()).state_dict(), "extra": _MakeFolder(folder / "executed")}, folder / "hostile.pt")
    torch.save({"epoch": 3, "extra": _MakeFolder(folder / "executed")}, folder / "without_tensors.pt")
    whole = (folder / "healthy.pt").read_bytes()
    (folder / "corrupt.pt").write_bytes(whole[: len(whole) // 2])
    _fixed_batch(folder / "fixed_batch.pt2", 16)


def script(module: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))


def _fixed_batch(path: Path, size: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(fitted(Net()), (images()[:size],)), path)


def _write_data(folder: Path) -> None:
    x = images().numpy()
    y = np.arange(len(x)) % 3
    np.savez(folder / "data.npz", x=x)
    np.savez(folder / "labelled.npz", x=x, y=y)
    np.savez(folder / "few.npz", x=x[:6])
    np.savez(folder / "one.npz", x=x[:1])
    np.savez(folder / "empty.npz", x=x[:0])
    np.savez(folder / "wrong_shape.npz", x=np.zeros((20, 5, 4, 4), np.float32))
    np.savez(folder / "many_classes.npz", x=x, y=y + 40)
    (folder / "garbage.npz").write_bytes(b"PK\x03\x04 nothing of the kind")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    assert not os.listdir()
    return tmp_path
