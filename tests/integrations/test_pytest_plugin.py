"""`pytest --bncheck MODEL`: a test for each model, which says what is wrong and not where bncheck raised it."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch

pytest_plugins = ["pytester"]


@pytest.fixture
def models(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a model that fits its data, one that does not, and the data."""
    torch.manual_seed(0)
    x = torch.randn(400, 3, 4, 4) * 2 + 1
    for name, mean, var in (("good", 1.0, 4.0), ("stale", 9.0, 1.0)):
        norm = torch.nn.BatchNorm2d(3)
        norm.running_mean.fill_(mean)
        norm.running_var.fill_(var)
        norm.num_batches_tracked.fill_(1000)
        torch.jit.script(torch.nn.Sequential(norm).eval()).save(f"{name}.pt")
    torch.save(x, "x.pt")
    return pytester


def test_a_model_that_fits_passes_and_one_that_does_not_fails_in_words(models: pytest.Pytester) -> None:
    done = models.runpytest_inprocess("--bncheck", "good.pt", "--bncheck", "stale.pt", "--bncheck-data", "x.pt", "-v")
    done.assert_outcomes(passed=1, failed=1)
    text = done.stdout.str()
    assert re.search(r"bncheck\[good.pt\] PASSED", text)
    assert "BN" in text.partition("bncheck[stale.pt]")[2]
    assert "Traceback" not in text
    assert "statistics.py" not in text


def test_what_cannot_be_read_fails_in_one_message(models: pytest.Pytester) -> None:
    done = models.runpytest_inprocess("--bncheck", "gone.pt", "--bncheck-data", "x.pt")
    done.assert_outcomes(failed=1)
    assert "gone.pt" in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_without_data_there_is_nothing_to_compare_with(models: pytest.Pytester) -> None:
    done = models.runpytest_inprocess("--bncheck", "good.pt")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "--bncheck-data" in done.stderr.str()


def test_the_tests_of_files_run_too_and_without_the_option_nothing_is_added(models: pytest.Pytester) -> None:
    Path("test_one.py").write_text("def test_one(): pass\n")
    models.runpytest_inprocess("--bncheck", "good.pt", "--bncheck-data", "x.pt").assert_outcomes(passed=2)
    models.runpytest_inprocess().assert_outcomes(passed=1)


def test_pytest_finds_it_where_bncheck_is_installed() -> None:
    (found,) = entry_points(group="pytest11", name="bncheck")
    assert found.value == "bncheck.testing.pytest_plugin"
