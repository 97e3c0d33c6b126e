"""What an inspection advises is what a repair comes to, and its last command does it, for four kinds of task."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from digit_nets import norms
from test_every_task import WRONG, broken
from test_input_of_every_task import normalized, of_task, pixels
from torch import nn

import bncheck
from bncheck.results.report import Report

NUMBER = 320
Case = tuple[nn.Module, torch.Tensor, torch.Tensor]


@cache
def case(task: str, fault: str) -> Case:
    """A model with a fault or none, and the data it is judged on; their labels are not what it says to the letter."""
    net, y = of_task(task)
    x = normalized(pixels(NUMBER, 2))
    generator = torch.Generator().manual_seed(8)
    if task == "numbers":
        y = y + 0.2 * torch.randn(y.shape, generator=generator)
    else:
        wrong = torch.rand(y.shape, generator=generator) < 0.05
        y = torch.where(wrong, y.flip(0), y)
    if fault == "one layer":
        return broken(net), x, y
    if fault == "all layers":
        stale = copy.deepcopy(net)
        for norm in norms(stale):
            norm.running_mean.mul_(0.3)
            norm.running_var.copy_(0.7 + 0.3 * norm.running_var)
        return stale, x, y
    if fault == "other pictures":
        return net, normalized((pixels(NUMBER, 2) * 0.6 + 0.3).clamp(0, 1)), y
    return net, x, y


def advice(report: Report) -> str:
    """All that is told to do."""
    return " ".join(finding.fix for finding in report.findings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("classes", "all layers"),
        ("positions", "other pictures"),
        ("positions", "none"),
        ("numbers", "one layer"),
        ("embeddings", "other pictures"),
        ("embeddings", "one layer"),
    ],
)
def test_inspect_and_repair_agree(task: str, fault: str, tmp_path: Path) -> None:
    net, x, y = case(task, fault)
    torch.save(net, tmp_path / "net.pt")
    report = bncheck.inspect(str(tmp_path / "net.pt"), (x, y), batch_sizes=(16,), trust_pickle=True)
    result = bncheck.repair_file(str(tmp_path / "net.pt"), (x, y), out=None, trust_pickle=True)
    advised = "bncheck.repair_file" in (report.summary.next or "")
    if result.outcome == "better":
        assert "Leave the statistics" not in advice(report)
        assert "Recalibrating does not help" not in advice(report)
        assert "was not measured to help" not in advice(report)
        assert report.summary.exit_code == 1
    else:
        assert "measured to help here" not in advice(report)
    if advised:
        assert result.outcome == "better"
    if fault == "none":
        assert (report.summary.exit_code, advised) == (0, False)
        assert result.outcome in ("no-difference", "worse")
    if fault == "one layer":
        assert (report.findings[0].code, advised, result.outcome) == ("BN607", True, "better")
        assert report.findings[0].layers == (str(1 + 3 * WRONG),)


@pytest.mark.parametrize(("fault", "code"), [("one layer", "BN607"), ("all layers", "BN603")])
def test_the_command_runs_with_the_data_filled_in_and_makes_the_model_better(fault: str, code: str) -> None:
    model, x, y = case("classes", fault)
    data, train_data = (x, y), normalized(pixels(NUMBER, 5))
    report = bncheck.inspect(model, data, batch_sizes=(16,), ignore=("BN608", "BN105"))
    assert report.findings[0].code == code
    names = {"bncheck": bncheck, "model": model, "data": data, "train_data": train_data}
    exec(report.summary.next, names)  # the report's own command
    again = bncheck.inspect(names["model"], data, batch_sizes=(16,))
    assert again.summary.exit_code == 0
    assert again.effect.score.stored > report.effect.score.stored + 0.1
    assert ("train_data" in report.summary.next) == (code == "BN607")  # BN603 has measured it on these data
