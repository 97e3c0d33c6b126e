"""A model of each kind of task: healthy left alone, a wrong layer named and repaired, and the file keeps its form."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from digit_nets import norms
from kinds_of_task import KINDS, healthy
from torch import nn

import bncheck

WRONG = 2
pytestmark = pytest.mark.slow


@cache
def of_kind(kind: str) -> tuple[nn.Module, list[Any]]:
    return healthy(kind)


def broken(net: nn.Module) -> nn.Module:
    """A copy in which one inner layer's variances are 16 times too large."""
    copied = copy.deepcopy(net)
    with torch.no_grad():
        norms(copied)[WRONG].running_var.mul_(16)
    return copied


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_model_of_any_kind_is_left_alone(kind: str) -> None:
    net, batches = of_kind(kind)
    report = bncheck.inspect(net, data=batches)
    assert [one.message for one in report.findings if one.severity != "info"] == []
    assert report.summary.exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_layer_is_named_and_repaired(kind: str, tmp_path: Path) -> None:
    net, batches = of_kind(kind)
    wrong = broken(net)
    torch.save({"state_dict": wrong.state_dict(), "epoch": 3}, tmp_path / "model.pth")
    arch = lambda: copy.deepcopy(net)  # noqa: E731
    result = bncheck.repair_file(tmp_path / "model.pth", batches, out=tmp_path / "repaired.pth", arch=arch)
    assert result.before.summary.exit_code == 1, [one.message for one in result.before.findings]
    grave = [one for one in result.before.findings if one.severity != "info"]
    named = [name for name, module in net.named_modules() if module is norms(net)[WRONG]]
    if kind == "full graph":  # nobody else's statistics to run it by, since there is but one batch
        assert [one.code for one in grave] == ["BN603"]
        assert named[0] in grave[0].layers
        return
    assert [(one.code, list(one.layers)) for one in grave] == [("BN607", named)]
    assert result.after is not None
    assert result.after.summary.exit_code == 0
    again = torch.load(tmp_path / "repaired.pth", weights_only=True)
    assert list(again["state_dict"]) == list(net.state_dict())
    assert again["epoch"] == 3
