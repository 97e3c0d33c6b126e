"""`assert_statistics_match`: what passes, what fails, and what the failure says."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import pytest
import torch
from torch import nn

import bncheck
from bncheck.errors import DataError, ModelError, UsageError
from bncheck.render.failure import failure_message
from bncheck.testing import assert_statistics_match

SAMPLES = Path(__file__).parents[1] / "sample_models"
HELD_OUT = SAMPLES / "digits_eval.npz"
ARCH = f"{SAMPLES / 'digits_net.py'}:build"
HEALTHY = SAMPLES / "healthy.pt"
NEVER_UPDATED = SAMPLES / "never_updated.torchscript.pt"


def norm(mean: float = 0.0) -> nn.Sequential:
    """One layer, whose first two channels store another mean, which changes which output is the largest."""
    net = nn.Sequential(nn.BatchNorm1d(4)).eval()
    net[0].running_mean[:2] = mean
    net[0].num_batches_tracked.fill_(1000)
    return net


def data(count: int = 600) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(0))


def test_a_healthy_model_passes_and_gives_its_report():
    report = assert_statistics_match(HEALTHY, HELD_OUT, arch=ARCH)
    assert (report.summary.verdict, report.summary.exit_code) == ("ok", 0)


def test_the_message_begins_with_the_answer():
    with pytest.raises(AssertionError, match=r"\AFound 1 error\. BN102: ") as raised:
        assert_statistics_match(NEVER_UPDATED, HELD_OUT)
    lines = str(raised.value).splitlines()
    assert "Accuracy: 36.7% as shipped, 99.3% recalibrated." in lines
    assert "What to do: Recalibrate the statistics on training data." in lines
    (row,) = [line for line in lines if line.startswith("blocks.2.body.1.bn")]
    assert row.split() == ["blocks.2.body.1.bn", "0.95", "0.41", "BN102"]
    assert "More: bncheck rule BN102" in lines
    assert len(lines) < 25
    assert max(map(len, lines)) <= 100


@pytest.mark.slow
def test_what_pytest_shows_is_that_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    test = tmp_path / "test_export.py"
    test.write_text(
        "from bncheck.testing import assert_statistics_match\n\n"
        "def test_the_exported_model():\n"
        f"    assert_statistics_match({str(NEVER_UPDATED)!r}, {str(HELD_OUT)!r})\n"
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    alone = ("-p", "no:cacheprovider", "-p", "no:faulthandler", "--import-mode=importlib", "-c", os.devnull)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        code = pytest.main(["-q", *alone, "--rootdir", str(tmp_path), str(test)])
    told = shown.getvalue()
    assert code == 1, told
    assert "\nE       AssertionError: Found 1 error. BN102: " in told
    assert "\nE       More: bncheck rule BN102\n" in told
    assert "raise AssertionError" not in told  # its own frame is hidden


def test_a_module_in_memory():
    assert assert_statistics_match(norm(), data()).summary.gap < 0.2
    with pytest.raises(AssertionError, match="BN60"):
        assert_statistics_match(norm(3.0), data())


def test_a_limit_of_ones_own():
    assert_statistics_match(norm(0.15), data(), max_gap=0.2)
    with pytest.raises(AssertionError, match=r"BN600: 0: the gap is 0\.1\d+, above the limit of 0\.1"):
        assert_statistics_match(norm(0.15), data(), max_gap=0.1)


def test_rules_are_chosen_as_on_the_command_line():
    stale = norm(3.0)
    codes = {finding.code for finding in bncheck.inspect(stale, data()).findings if finding.severity != "info"}
    assert codes
    assert_statistics_match(stale, data(), ignore=sorted(codes))
    assert_statistics_match(stale, data(), select=["BN7"])
    with pytest.raises(AssertionError, match="|".join(codes)):
        assert_statistics_match(stale, data(), select=sorted(codes))


def test_too_few_samples_do_not_pass():
    with pytest.raises(AssertionError, match=r"\AInconclusive: too few samples to tell\."):
        assert_statistics_match(norm(), data(12))


def test_a_model_without_statistics_does_not_pass():
    with pytest.raises(AssertionError, match=r"\ANot checked: there is no normalization layer"):
        assert_statistics_match(nn.Sequential(nn.Linear(4, 4)), data())


def test_the_module_is_left_as_it_is():
    net = norm().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert_statistics_match(net, data())
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_mistakes_in_the_test_are_no_failures():
    with pytest.raises(UsageError, match="compares a model with data"):
        assert_statistics_match(norm(), None)
    with pytest.raises(UsageError, match="nothing could fail"):
        assert_statistics_match(norm(), data(), fail_on="never")
    with pytest.raises(DataError, match="cannot be run on"):
        assert_statistics_match(norm(), torch.zeros(20, 3))
    with pytest.raises((UsageError, ModelError), match="missing"):
        assert_statistics_match("missing.pt", data())


def test_a_long_table_shows_the_worst_layers():
    net = nn.Sequential(*(nn.BatchNorm1d(4) for _ in range(12))).eval()
    for index, layer in enumerate(net):
        layer.num_batches_tracked.fill_(1000)
        layer.running_mean.fill_(float(index % 2))
        layer.running_var.fill_(4.0)
    message = failure_message(bncheck.inspect(net, data()))
    assert message.count("\n") < 40
    assert "more layer" in message
