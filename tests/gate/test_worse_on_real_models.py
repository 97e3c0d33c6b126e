"""Baselines of real models: more of the same is worse, what has nothing to do with it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import bncheck
from bncheck.gate.acceptance import accept
from bncheck.gate.again import Limits, judge_again
from bncheck.gate.baseline import Baseline, accepted_now
from bncheck.gate.baseline_file import baseline_text, read_baseline
from bncheck.render.words.report import headline
from bncheck.results.report import Report

CHANNELS = 64
HUGE = 1e5
"""A variance beyond the range of half precision."""


def net(variance: float = 1.0, channels: int = 0, mean: float = 0.0) -> torch.nn.Module:
    """One layer, `channels` of which have that variance."""
    layer = torch.nn.BatchNorm1d(CHANNELS)
    assert layer.running_var is not None
    assert layer.running_mean is not None
    layer.running_var[:channels] = variance
    layer.running_mean[CHANNELS // 2] = mean
    layer.num_batches_tracked.fill_(1000)
    torch.nn.init.constant_(layer.bias, 0.1)
    return torch.nn.Sequential(layer)


def data(variance: float = 1.0, channels: int = 0) -> torch.Tensor:
    """What such a layer was trained on."""
    drawn = torch.randn(4000, CHANNELS, generator=torch.Generator().manual_seed(0))
    drawn = (drawn - drawn.mean(0)) / drawn.std(0)
    drawn[:, :channels] *= variance**0.5
    return drawn


def inspected(code: str, *arguments: Any, **options: Any) -> Report:
    """A report in which that rule found something."""
    report = bncheck.inspect(*arguments, select=[code], **options)
    assert {finding.code for finding in report.findings} == {code}
    assert report.summary.exit_code == 1
    return report


def exit_code_after(before: Report, now: Report, folder: Path) -> int:
    """That of the second, with what the first found in a baseline."""
    path = folder / "known.json"
    path.write_text(baseline_text(accepted_now(before)), encoding="utf-8")
    assert accept(before, baseline=read_baseline(path)).summary.exit_code == 0
    return accept(now, baseline=read_baseline(path)).summary.exit_code


@pytest.mark.parametrize("value", [-1.0, float("nan")], ids=["negative", "NaN"])
@pytest.mark.parametrize(
    ("norms", "faulty", "code"), [(1, 0, 0), (2, 1, 0), (2, 0, 4)], ids=["alone", "last", "one behind"]
)
def test_an_accepted_fault_leaves_untold_what_stands_behind_it_alone(
    value: float, norms: int, faulty: int, code: int
) -> None:
    """The layer that the finding names is known to be broken; one that saw nothing but its NaN was not looked at."""
    model = torch.nn.Sequential(*(net()[0] for _ in range(norms)))
    model[faulty].running_var[5] = value
    report = bncheck.inspect(model, data(), select=["BN201", "BN202"])
    assert report.layers[faulty].worst_channel == 5
    assert report.summary.exit_code == 1
    known = accept(report, baseline=Baseline("known.json", accepted_now(report)))
    again = judge_again(known, Limits())
    assert known.summary.exit_code == again.summary.exit_code == code
    assert ("1 more layer could not be judged" in headline(known)) == (code == 4)
    unnamed = bncheck.inspect(model, data(), select=["BN601"])
    assert (unnamed.summary.verdict, unnamed.summary.exit_code) == ("inconclusive", 4)
    assert headline(unnamed).startswith("Inconclusive: the gap of ")


def test_one_channel_of_negative_variance_and_then_all(tmp_path: Path) -> None:
    one, many = (inspected("BN202", net(-1.0, channels)) for channels in (1, CHANNELS))
    assert exit_code_after(one, many, tmp_path) == 1
    assert exit_code_after(many, one, tmp_path) == 0


def test_one_channel_beyond_half_precision_and_then_all(tmp_path: Path) -> None:
    one, many = (
        inspected("BN204", net(HUGE, channels), data(HUGE, channels), deploy_dtype="float16")
        for channels in (1, CHANNELS)
    )
    assert exit_code_after(one, many, tmp_path) == 1


def test_a_drift_that_harms_nobody_makes_nothing_else_worse(tmp_path: Path) -> None:
    still, drifting = (
        inspected("BN204", net(HUGE, 1, mean), data(HUGE, 1), deploy_dtype="float16") for mean in (0.0, 1.0)
    )
    gaps = [report.summary.gap for report in (still, drifting)]
    assert gaps == [pytest.approx(0, abs=0.002), pytest.approx(0.125, abs=0.005)]
    assert exit_code_after(still, drifting, tmp_path) == 0


def test_a_gap_that_grows_is_worse(tmp_path: Path) -> None:
    small, large = (inspected("BN600", net(mean=mean), data(), max_gap=0.1) for mean in (1.0, 10.0))
    assert exit_code_after(small, large, tmp_path) == 1
    assert exit_code_after(small, small, tmp_path) == 0


def test_without_a_baseline_nothing_is_known() -> None:
    report = inspected("BN202", net(-1.0, 1))
    assert accept(report, baseline=Baseline("b", ())).summary.exit_code == 1
