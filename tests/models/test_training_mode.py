"""Exports in training mode: found in the file, and only where the file says so."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import bncheck
from bncheck.results.report import Report


def net(**options: bool) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, **options))


def traced(module: nn.Module, folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.randn(4, 1, 6, 6), check_trace=False).save(str(folder / "net.pt"))
    return folder / "net.pt"


def scripted(module: nn.Module, folder: Path) -> Path:
    torch.jit.script(module).save(str(folder / "net.pt"))
    return folder / "net.pt"


def exported(module: nn.Module, folder: Path) -> Path:
    program = torch.export.export(module, (torch.randn(4, 1, 6, 6),))
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


def decomposed(module: nn.Module, folder: Path) -> Path:
    program = torch.export.export(module, (torch.randn(4, 1, 6, 6),)).run_decompositions()
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


def onnx(module: nn.Module, folder: Path) -> Path:
    mode = torch.onnx.TrainingMode.TRAINING if module.training else torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.randn(4, 1, 6, 6)
        torch.onnx.export(module, (x,), folder / "n.onnx", dynamo=False, training=mode, do_constant_folding=False)
    return folder / "n.onnx"


def training_findings(report: Report) -> list[tuple[str, str | None]]:
    return [(finding.severity, finding.layer) for finding in report.findings if finding.code == "BN701"]


@pytest.mark.parametrize("save", [traced, exported, decomposed, onnx])
def test_an_export_in_training_mode_is_an_error(tmp_path: Path, save) -> None:
    report = bncheck.inspect(save(net().train(), tmp_path))
    assert training_findings(report) == [("error", "1")]
    assert report.summary.exit_code == 1


def test_with_data_the_drift_that_follows_is_left_out(tmp_path: Path) -> None:
    report = bncheck.inspect(traced(net().train(), tmp_path), 9 * torch.randn(100, 1, 6, 6))
    assert "BN603" not in {finding.code for finding in report.findings}
    assert training_findings(report) == [("error", "1")]
    assert report.layers[0].status == "measured"


@pytest.mark.parametrize("save", [traced, scripted, exported, decomposed, onnx])
def test_an_export_in_eval_mode_is_none(tmp_path: Path, save) -> None:
    assert training_findings(bncheck.inspect(save(net().eval(), tmp_path))) == []


def test_a_script_that_reads_its_mode_from_the_module_is_none(tmp_path: Path) -> None:
    assert training_findings(bncheck.inspect(scripted(net().train(), tmp_path))) == []


@pytest.mark.parametrize("save", [traced, scripted, exported, decomposed, onnx])
def test_batch_norm_without_statistics_by_configuration_is_none(tmp_path: Path, save) -> None:
    assert training_findings(bncheck.inspect(save(net(track_running_stats=False).eval(), tmp_path))) == []


def test_a_module_in_training_mode_is_run_in_eval_mode() -> None:
    assert training_findings(bncheck.inspect(net().train(), torch.randn(50, 1, 6, 6))) == []
