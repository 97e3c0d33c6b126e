"""BN704 as a user meets it: a runtime that normalizes wrongly."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from command_line import call
from torch import nn

LOADER = """
import torch


def batches():
    return [torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(3)) for _ in range(4)]
"""


def off_by(error: float):
    """A kernel whose second channel is off."""

    def kernel(x, weight, bias, mean, var, training, momentum, eps):
        shape = (1, -1, 1, 1)
        y = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + eps) * weight.view(shape) + bias.view(shape)
        y[:, 1] += error
        return y, x.new_empty(0), x.new_empty(0)

    return kernel


@pytest.mark.parametrize(("error", "code"), [(0.0, 0), (1e-3, 1)], ids=["sound", "wrong"])
def test_a_wrong_kernel_fails_the_run(tmp_path: Path, error: float, code: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3, affine=True))
    for module in net:
        module.momentum = None
    for _ in range(4):
        net.train()(torch.randn(256, 3, 8, 8))
    torch.jit.script(net.eval()).save(str(tmp_path / "net.pt"))
    (tmp_path / "loader.py").write_text(LOADER)
    with torch.library._scoped_library("aten", "IMPL") as library:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a kernel is being replaced, on purpose
            library.impl("native_batch_norm", off_by(error), "CPU")
        done = call("inspect", tmp_path / "net.pt", "--data", f"{tmp_path / 'loader.py'}:batches")
    assert done.code == code, done
    assert (". BN704: " in done.stdout) == (code == 1)
    if code:
        said = " ".join(done.stdout.split())
        assert "The runtime computes 0, 2 wrongly" in said
        assert "bncheck rule BN704" in said
