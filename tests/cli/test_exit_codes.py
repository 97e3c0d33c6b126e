"""Every exit code of the command line, and which one comes first."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from command_line import call, refused, users_code
from made_files import Files

import bncheck.api.reporting.running
import bncheck.cli.destinations
from bncheck.errors import DataError

NET = ("--arch", users_code("Net"))
WITH_AUXILIARY = (*NET, "--arch-kwargs", '{"auxiliary": true}')


def test_0_for_statistics_that_describe_the_data(files: Files) -> None:
    done = call("inspect", files.healthy, *NET, "--data", files.data)
    assert done.code == 0
    assert "The stored statistics describe these data." in done.stdout


def test_0_for_a_static_audit_without_findings(files: Files) -> None:
    done = call("inspect", files.healthy)
    assert done.code == 0
    assert "only data can tell" in " ".join(done.stdout.split())


def test_1_for_findings_in_the_stored_values_alone(files: Files) -> None:
    done = call("inspect", files.never_updated)
    assert done.code == 1
    assert "Found 1 error. BN102: " in done.stdout


@pytest.mark.parametrize(
    ("data", "severity", "fail_on", "code"),
    [
        ("data", "error", "error", 1),
        ("data", "error", "warning", 1),
        ("data", "error", "never", 0),
        ("labelled", "warning", "error", 0),
        ("labelled", "warning", "warning", 1),
        ("labelled", "warning", "never", 0),
    ],
)
def test_fail_on_decides_from_which_severity_on_the_code_is_1(
    files: Files, data: str, severity: str, fail_on: str, code: int
) -> None:
    done = call("inspect", files.drifted, *NET, "--data", getattr(files, data), "--fail-on", fail_on)
    assert done.code == code
    assert f"Found 1 {severity}. BN603: " in done.stdout
    assert (f"The exit code is 0 all the same: --fail-on {fail_on}." in done.stdout) == (code == 0)


def test_1_from_a_warning_on_where_nothing_is_said(files: Files) -> None:
    assert call("inspect", files.drifted, *NET, "--data", files.labelled).code == 1


def test_1_for_a_limit_that_is_exceeded(files: Files) -> None:
    command = ("inspect", files.healthy, *NET, "--data", files.data, "--max-gap")
    assert call(*command, "0.2").code == 0
    assert "Found 1 error. BN600: " in call(*command, "0.001").stdout
    assert call(*command, "0").code == 1


def test_nan_passes_no_limit(files: Files) -> None:
    done = call("inspect", files.not_finite, "--data", files.data, "--max-gap", "1e9", "--select", "BN600")
    assert done.code == 1
    assert "not a number" in done.stdout


@pytest.mark.parametrize(
    ("model", "data", "sentence"),
    [
        ("folded", None, "there is no normalization layer with stored statistics in this file"),
        ("group_norm", None, "there is no normalization layer with stored statistics in this file"),
        ("group_norm", "data", "there is no normalization layer with stored statistics in this file"),
    ],
)
@pytest.mark.parametrize("fail_on", ["warning", "never"])
def test_4_where_there_is_nothing_to_check(
    files: Files, model: str, data: str | None, sentence: str, fail_on: str
) -> None:
    given = ("--data", getattr(files, data)) if data else ()
    done = call("inspect", getattr(files, model), *given, "--fail-on", fail_on)
    assert done.code == 4
    assert f"Not checked: {sentence}." in done.stdout.replace("\n", " ")


def test_4_where_no_layer_was_exercised(files: Files) -> None:
    done = call("inspect", files.idle, "--data", files.data)
    assert done.code == 4
    assert "Not checked: no layer with stored statistics was reached by these data." in done.stdout
    assert call("inspect", files.idle).code == 0


@pytest.mark.parametrize("fail_on", ["error", "warning", "never"])
@pytest.mark.parametrize("data", ["one", "few"])
def test_4_for_too_few_samples(files: Files, data: str, fail_on: str) -> None:
    done = call("inspect", files.healthy, *NET, "--data", getattr(files, data), "--fail-on", fail_on)
    assert done.code == 4
    assert "Inconclusive: too few samples to tell." in done.stdout


def test_strict_turns_a_skipped_layer_into_4(files: Files) -> None:
    command = ("inspect", files.with_auxiliary, *WITH_AUXILIARY, "--data", files.data)
    assert call(*command).code == 0
    done = call(*command, "--strict")
    assert done.code == 4
    assert "The exit code is 4: 1 layer skipped." in done.stdout


def test_strict_turns_a_sample_left_out_into_4(files: Files) -> None:
    command = ("inspect", files.fixed_batch, "--data", files.data)
    done = call(*command)
    assert done.code == 0
    assert "8 samples left out" in done.stdout
    assert call(*command, "--strict").code == 4
    assert call(*command, "--strict", "--limit", "64").code == 0


def test_2_before_3(files: Files) -> None:
    corrupt = files.corrupt
    refused(call("inspect", corrupt), 3)
    assert "no file or folder nowhere.npz" in refused(call("inspect", corrupt, "--data", "nowhere.npz"), 2)
    assert "there is no file nowhere.py" in refused(call("inspect", corrupt, "--arch", "nowhere.py:build"), 2)
    assert "no file or folder nowhere.py" in refused(call("inspect", corrupt, "--data", "nowhere.py:load"), 2)
    assert "--fail-on sometimes" in refused(call("inspect", corrupt, "--fail-on", "sometimes"), 2)
    assert "--device abacus" in refused(call("inspect", corrupt, "--device", "abacus"), 2)
    assert "--select" in refused(call("inspect", corrupt, "--select", "BN999"), 2)
    assert "--report" in refused(call("inspect", corrupt, "--report", "-"), 2)
    assert "--arch FILE.py:CALLABLE" in refused(call("inspect", files.healthy, "--data", files.garbage), 2)


def test_3_before_1(files: Files) -> None:
    assert call("inspect", files.never_updated).code == 1
    refused(call("inspect", files.never_updated, "--data", files.wrong_shape), 3)


def test_1_before_4(files: Files) -> None:
    without_data = ("inspect", files.not_finite)
    with_too_few = (*without_data, "--data", files.one)
    assert call(*with_too_few, "--strict").code == 1
    assert call(*with_too_few, "--fail-on", "never").code == 4


def test_never_turns_1_into_0_only_where_enough_was_checked(files: Files) -> None:
    assert call("inspect", files.never_updated, "--fail-on", "never").code == 0
    strict = (files.with_auxiliary, *WITH_AUXILIARY, "--data", files.data, "--strict", "--max-gap", "0")
    assert call("inspect", *strict).code == 1
    assert call("inspect", *strict, "--fail-on", "never").code == 4


def test_the_report_says_the_code_the_process_ends_with(files: Files) -> None:
    for model, expected in ((files.healthy, 0), (files.never_updated, 1), (files.folded, 4)):
        done = call("inspect", model, "--report", "json=-")
        assert (done.code, done.json["summary"]["exit_code"]) == (expected, expected)


def test_a_rule_that_is_not_asked_for_hides_none_that_is(files: Files) -> None:
    """BN102 explains BN603 away, but not for those who ask for BN603 alone."""
    command = ("inspect", files.never_updated, "--data", files.data)
    assert "BN603" not in call(*command).stdout
    for chosen in (("--select", "BN603"), ("--ignore", "bn1,bn2")):
        done = call(*command, *chosen)
        assert done.code == 1
        assert "Found 1 error. BN603: " in done.stdout
        assert "BN102" not in done.stdout


def fail_inside(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let a function of the package raise: what a file of anybody else's raises is no bug of bncheck's."""
    within = {"error": error}
    source = "def assemble(*values, **more):\n    raise error"
    exec(compile(source, bncheck.api.reporting.running.__file__, "exec"), within)  # the line above
    monkeypatch.setattr(bncheck.api.reporting.running, "assemble", within["assemble"])


def test_70_for_a_bug_in_one_line_that_asks_to_report_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_inside(monkeypatch, AttributeError("'NoneType' object has no attribute 'gap'\nand a second line"))
    done = call("inspect", files.healthy)
    assert (done.code, done.stdout) == (70, "")
    assert done.stderr == (
        "bncheck: internal error: AttributeError: 'NoneType' object has no attribute 'gap'. This is a bug in bncheck: "
        "please report it with what --debug prints.\n"
    )


def test_70_with_debug_shows_where(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_inside(monkeypatch, IndexError("boom"))
    done = call("inspect", files.healthy, "--debug")
    assert (done.code, done.stdout) == (70, "")
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "in assemble" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("bncheck: internal error: IndexError: boom.")


def test_debug_shows_where_a_users_mistake_was_found(files: Files) -> None:
    done = call("inspect", files.corrupt, "--debug")
    assert done.code == 3
    assert "Traceback (most recent call last):" in done.stderr
    assert "cut off or damaged" in done.stderr.splitlines()[-1]


def test_70_also_for_a_bug_while_a_report_is_written(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bncheck.cli.destinations, "renderer", Mock(side_effect=KeyError("render")))
    done = call("inspect", files.healthy, "--report", "json=-")
    assert (done.code, done.stdout) == (70, "")


@pytest.mark.parametrize(
    "options",
    [
        ("--arch", users_code("Interrupted"), "--data", "DATA"),
        (*NET, "--data", users_code("interrupted_batches")),
    ],
)
def test_130_when_interrupted_in_the_users_code(files: Files, options: tuple[str, ...]) -> None:
    given = [files.data if option == "DATA" else option for option in options]
    done = call("inspect", files.healthy, "--quiet", *given)
    assert (done.code, done.stdout) == (130, "")
    assert re.fullmatch(r"bncheck: interrupted, in \S+users_code\.py, line \d+\.\n", done.stderr)


def test_130_when_interrupted_in_ours(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_inside(monkeypatch, KeyboardInterrupt())
    assert call("inspect", files.healthy).code == 130


def test_a_report_that_was_begun_is_not_left_behind(
    files: Files, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_inside(monkeypatch, DataError("no"))
    refused(call("inspect", files.healthy, "--report", "report.json"), 3)
    assert list(scratch.iterdir()) == []


def test_the_verdict_is_findings_whatever_fail_on_says(files: Files) -> None:
    for fail_on in ("error", "warning", "never"):
        done = call("inspect", files.never_updated, "--fail-on", fail_on, "--report", "json=-")
        assert json.loads(done.stdout)["summary"]["verdict"] == "findings"


def test_3_for_samples_that_are_not_finite_unless_they_are_skipped(files: Files, tmp_path: Path) -> None:
    with np.load(files.data) as held:
        arrays = {name: held[name].copy() for name in held.files}
    arrays["x"][3].fill(np.nan)
    np.savez(tmp_path / "bad.npz", **arrays)
    command = ("inspect", files.healthy, *NET, "--data", str(tmp_path / "bad.npz"))
    refused = call(*command)
    assert refused.code == 3
    assert "number 3, counted from 0" in refused.stderr.replace("\n", " ")
    assert "--skip-bad-samples" in refused.stderr
    skipped = call(*command, "--skip-bad-samples")
    assert skipped.code == 0
    assert "1 sample left out (number 3)" in skipped.stdout.replace("\n", " ")
    assert call(*command, "--skip-bad-samples", "--strict").code == 4
    out = ("--out", str(tmp_path / "out.pt"))
    repair = ("repair", files.drifted, *NET, "--data", str(tmp_path / "bad.npz"), *out)
    assert call(*repair).code == 3
    assert call(*repair, "--skip-bad-samples").code == 0
