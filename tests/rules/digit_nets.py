"""Small networks for 8x8 digits, how they are trained, and how the rule tests read a report."""

from __future__ import annotations

import runpy
from pathlib import Path

import torch
from torch import nn

from bncheck.results.finding import Finding
from bncheck.results.report import Report

SAMPLES = Path(__file__).parents[2] / "sample_models"
ARCH = f"{SAMPLES / 'digits_net.py'}:build"
build_digits_net = runpy.run_path(str(SAMPLES / "digits_net.py"))["build"]

BatchNorm = nn.modules.batchnorm._BatchNorm
Data = tuple[torch.Tensor, torch.Tensor]


def conv_net(*, norm_after_relu: bool = False, depthwise: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """Three blocks of convolution, BatchNorm and ReLU."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        act = [nn.ReLU(), nn.BatchNorm2d(outputs)] if norm_after_relu else [nn.BatchNorm2d(outputs), nn.ReLU()]
        if not depthwise or inputs == 1:
            return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), *act, nn.Dropout(dropout)]
        apart = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        return [apart, nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), *act]

    return nn.Sequential(
        *(*block(1, 16, 1), *block(16, 32, 2), *block(32, 32, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


def dense_net(*, dropout: float = 0.0, outputs: int = 10) -> nn.Sequential:
    """Two blocks of linear layer, BatchNorm1d and ReLU."""

    def block(inputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(dropout)]

    return nn.Sequential(nn.Flatten(), *block(64), *block(64), nn.Linear(64, outputs))


def train(
    net: nn.Module,
    data: Data,
    *,
    epochs: int = 8,
    rate: float = 0.05,
    batch: int = 32,
    decay: float = 5e-4,
    shift: int = 0,
    seed: int = 0,
    norms_frozen: bool = False,
    steps: int | None = None,
) -> nn.Module:
    """SGD with momentum and a cosine schedule, in place; gives the net in eval mode.

    With `shift` every image is moved at random by up to that many pixels, zeros coming in; with
    `norms_frozen` BatchNorm stays in eval mode; `steps` ends it early.
    """
    x, y = data
    torch.manual_seed(seed)
    batches = [part for _ in range(epochs) for part in torch.randperm(len(y)).split(batch) if len(part) == batch]
    batches = batches[:steps]
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    net.train(not norms_frozen)
    for part in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(_moved(x[part], shift)), y[part]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def _moved(x: torch.Tensor, shift: int) -> torch.Tensor:
    if not shift:
        return x
    padded = nn.functional.pad(x, (shift,) * 4)
    corners = torch.randint(0, 2 * shift + 1, (len(x), 2)).tolist()
    return torch.stack([image[:, a : a + 8, b : b + 8] for image, (a, b) in zip(padded, corners, strict=True)])


def measure_statistics(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """Give every BatchNorm the statistics of `x`, layer after layer, in place; gives the net in eval mode."""
    momenta = [norm.momentum for norm in norms(net)]
    for norm in norms(net):
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(x)
    for norm, momentum in zip(norms(net), momenta, strict=True):
        norm.momentum = momentum
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.fill_(1000)  # enough for the counter not to contradict them
    return net.eval()


def norms(net: nn.Module) -> list[nn.Module]:
    """The net's BatchNorm layers."""
    return [module for module in net.modules() if isinstance(module, BatchNorm)]


def codes(report: Report) -> list[str]:
    """The codes found, the gravest first."""
    return [finding.code for finding in report.findings]


def only(report: Report, code: str) -> Finding:
    """The one finding of a report, which must be of that code and say what decided it and what to do."""
    assert codes(report) == [code], [finding.message for finding in report.findings]
    (finding,) = report.findings
    assert finding.evidence
    assert finding.fix.endswith(".")
    assert finding.message.endswith(".")
    return finding


def assert_healthy(report: Report) -> None:
    """Nothing worth a warning, everything measured, enough of it."""
    assert [finding for finding in report.findings if finding.severity != "info"] == []
    assert (report.summary.verdict, report.summary.exit_code) == ("ok", 0)
