"""The network that the repair tests save in every container, its data, and what recalibrating it must store."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

SAMPLES = 90
STATISTICS = ("running_mean", "running_var")


class Unit(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Net(nn.Module):
    """Two convolutions with BatchNorm, dropout, a classifier of three."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(2, 5, 3)
        self.deep = nn.Sequential(Unit(5, 4, 2))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.deep(self.stem(x)).mean((2, 3))))


LAYERS = ["stem.norm", "deep.0.norm"]
ARCH = f"{__file__}:build"


def build() -> nn.Module:
    return Net()


def stale_net() -> Net:
    """Weights of any values and statistics that describe nothing."""
    torch.manual_seed(3)
    net = Net()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3.0)
            module.num_batches_tracked.fill_(500)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return net.eval()


def images() -> np.ndarray:
    return np.random.default_rng(5).normal(0.3, 1.2, (SAMPLES, 2, 7, 6)).astype(np.float32)


def expected_statistics(net: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """In plain torch: the inputs of the norms in train mode, pooled over the two halves in which bncheck reads them."""
    drawn = torch.from_numpy(images()[np.random.default_rng(seed).permutation(SAMPLES)]).double()
    net = copy.deepcopy(net).double().eval()
    fed: dict[str, list[torch.Tensor]] = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.register_forward_pre_hook(
                lambda _, args, name=name: fed.setdefault(name, []).append(args[0].transpose(0, 1).flatten(1))
            )
    with torch.no_grad():
        for half in drawn.split(SAMPLES // 2):
            net(half)
    pooled = {name: torch.cat(parts, dim=1) for name, parts in fed.items()}
    return {
        f"{name}.{role}": value
        for name, values in pooled.items()
        for role, value in zip(STATISTICS, (values.mean(1), values.var(1, unbiased=False)), strict=True)
    }


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_statistics(found: dict[str, torch.Tensor], net: nn.Module, tolerance: float = 1e-5) -> None:
    """`found` has the data's statistics."""
    expected = expected_statistics(net)
    assert len(expected) == 2 * len(LAYERS)
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double().flatten(), value, rtol=tolerance, atol=tolerance)


def assert_rest_unchanged(found: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> None:
    """The same names, dtypes and shapes, and bit-equal values wherever there are no statistics."""
    assert list(found) == list(before)
    for name, value in before.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        if name.rpartition(".")[2] not in STATISTICS:
            assert torch.equal(found[name], value), name
        else:
            assert not torch.equal(found[name], value), name
