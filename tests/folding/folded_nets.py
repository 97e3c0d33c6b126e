"""Small networks, how they are exported, and how the report of a folded one is held against that of the original."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import bncheck
from bncheck.api.reporting import running
from bncheck.results.finding import Finding
from bncheck.results.report import LayerReport, Report

SAMPLES = 72
NUMBERS = ("gap", "own_gap", "noise", "shift_max", "scale_min", "scale_max")
CHANNEL_NUMBERS = ("stored_mean", "stored_var", "measured_mean", "measured_var", "shift", "scale", "gap", "own_gap")

measured_alone = pytest.mark.usefixtures("without_probes")
"""For tests of what is measured through a fold: probes read it the same way, and are asked where codes are compared."""

BatchNorm = nn.modules.batchnorm._BatchNorm


def trained(net: nn.Module, seed: int = 0) -> nn.Module:
    """In eval mode, with statistics and parameters of its own in every layer, some gammas negative."""
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int, low: float, high: float) -> torch.Tensor:
        return torch.rand(size, generator=generator) * (high - low) + low

    with torch.no_grad():
        for weight in (parameter for parameter in net.parameters() if parameter.dim() > 1):
            weight.copy_((draw(weight.numel(), -1, 1) * (3 / weight[0].numel()) ** 0.5).reshape(weight.shape))
        for layer in (module for module in net.modules() if isinstance(module, BatchNorm)):
            size = layer.num_features
            layer.running_mean.copy_(draw(size, -0.5, 0.5))
            layer.running_var.copy_(draw(size, 0.4, 2.0))
            layer.num_batches_tracked.fill_(500)
            if layer.affine:
                layer.weight.copy_(draw(size, 0.5, 1.5))
                layer.weight[::3] *= -1
                layer.bias.copy_(draw(size, -0.5, 0.5))
        for module in net.modules():
            if not isinstance(module, BatchNorm) and isinstance(bias := getattr(module, "bias", None), torch.Tensor):
                bias.copy_(draw(len(bias), -0.3, 0.3))
    return net.eval()


def conv(inputs: int, outputs: int, size: int = 3, **options: Any) -> nn.Conv2d:
    """Without a bias, as before BatchNorm."""
    return nn.Conv2d(inputs, outputs, size, **({"bias": False} | options))


class Pooled(nn.Module):
    """A chain of layers whose outputs are averaged over the positions."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).flatten(2).mean(2)


def three_blocks(**norm: Any) -> nn.Module:
    """Three convolutions with BatchNorm, the last one with a bias."""
    return trained(
        Pooled(
            *(conv(3, 8), nn.BatchNorm2d(8, **norm), nn.ReLU()),
            *(conv(8, 8), nn.BatchNorm2d(8, **norm), nn.ReLU()),
            *(conv(8, 5, 1, bias=True), nn.BatchNorm2d(5, **norm)),
        )
    )


class Residual(nn.Module):
    """Two convolutions meet in an Add, which is nobody's bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 6, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = conv(6, 6, padding=1), nn.BatchNorm2d(6)
        self.shortcut, self.bn3 = conv(3, 6, 1), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return self.head(torch.relu(y + self.bn3(self.shortcut(x))).mean((2, 3)))


def images(*shape: int, seed: int = 0) -> np.ndarray:
    """Samples of that shape; 3 channels of 8 by 8 unless told."""
    return np.random.default_rng(seed).normal(0.3, 1.2, (SAMPLES, *(shape or (3, 8, 8)))).astype(np.float32)


def exported(net: nn.Module, x: np.ndarray, path: Path, *, dynamo: bool = False, **options: Any) -> Path:
    """An ONNX file of any batch size, by the one exporter or the other."""
    tensor = torch.from_numpy(x[:3]).to(next(net.parameters()).dtype)
    if dynamo:
        options |= {"dynamic_shapes": ({0: torch.export.Dim("batch")},), "verbose": False}
    else:
        options = {"dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}} | options
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(net, (tensor,), path, input_names=["x"], output_names=["y"], dynamo=dynamo, **options)
    finally:
        logging.disable(logging.NOTSET)
    return path


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def the(report: Report, code: str) -> Finding:
    """The one finding of that code."""
    (found,) = [finding for finding in report.findings if finding.code == code]
    return found


def notes(report: Report) -> str:
    return "\n".join(report.run.notes)


def skipped(report: Report) -> dict[str, str | None]:
    return {layer.name: layer.reason for layer in report.layers if layer.status == "skipped"}


def assert_same(
    got: Report, wanted: Report, *, rel: float = 1e-3, hidden: Sequence[str] = (), uncounted: bool = False
) -> None:
    """Both reports have the same layers with the same numbers; `hidden` layers have channels that cannot be seen."""
    ours, theirs = ({layer.name: layer for layer in report.layers} for report in (got, wanted))
    assert ours.keys() == theirs.keys()
    for name, layer in ours.items():
        assert layer.status == theirs[name].status == "measured", name
        assert layer.calls == theirs[name].calls
        if not uncounted:
            assert layer.stored_updates == theirs[name].stored_updates
        if name not in hidden:
            for number in NUMBERS:
                assert getattr(layer, number) == pytest.approx(getattr(theirs[name], number), rel=rel, abs=1e-6), (
                    name,
                    number,
                )
        _assert_channels(layer, theirs[name], rel, hidden=name in hidden)
    if got.effect and wanted.effect:
        assert got.effect.output_change == pytest.approx(wanted.effect.output_change, rel=rel, abs=1e-6)
        if rel <= 1e-3:  # scores nearly as high as the highest change places sooner
            assert got.effect.predictions_changed == wanted.effect.predictions_changed


def _assert_channels(ours: LayerReport, theirs: LayerReport, rel: float, *, hidden: bool) -> None:
    for number in CHANNEL_NUMBERS:
        one, other = getattr(ours.table, number), getattr(theirs.table, number)
        seen = np.isfinite(one) if hidden else slice(None)
        scale = float(np.max(np.abs(other)))
        np.testing.assert_allclose(one[seen], other[seen], rtol=rel, atol=rel * scale, err_msg=f"{ours.name} {number}")


def inspect_both(
    net: nn.Module, model: Any, x: np.ndarray, reference: Any = None, **options: Any
) -> tuple[Report, Report]:
    """The report of the export beside its reference, and that of the network itself."""
    reference = net if reference is None else reference
    return bncheck.inspect(model, x, reference=reference, **options), report_of(net, x)


_REPORTS: dict[Any, Report] = {}


def report_of(net: nn.Module, x: np.ndarray) -> Report:
    """The report of the network itself on these samples, inspected once however many exports are held against it."""
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    key = running.run_probes, type(net), repr(net), buffer.getvalue(), x.dtype, x.shape, x.tobytes()
    if key not in _REPORTS:
        _REPORTS[key] = bncheck.inspect(net, x)
    return _REPORTS[key]
