"""`bncheck diff`: exit codes, reports, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pandas
import pytest
from command_line import call, refused
from made_files import Files


@pytest.mark.parametrize(
    ("pair", "options", "code"),
    [
        (("healthy", "drifted"), [], 0),
        (("healthy", "drifted"), ["--expect-frozen", "norm"], 1),
        (("healthy", "healthy"), ["--expect-frozen", "*"], 0),
        (("healthy", "runnable"), ["--expect-frozen", "norm"], 0),
        (("healthy", "not_finite"), ["--expect-frozen", "norm"], 1),
        (("healthy", "with_auxiliary"), ["--expect-frozen", "norm"], 0),
        (("healthy", "with_auxiliary"), ["--expect-frozen", "*"], 4),
        (("healthy", "group_norm"), [], 4),
    ],
)
def test_exit_codes(files: Files, pair: tuple[str, str], options: list[str], code: int) -> None:
    done = call("diff", *(getattr(files, name) for name in pair), *options)
    assert done.code == code, done
    assert done.stderr == ""


def test_the_page_names_layer_and_rule(files: Files) -> None:
    done = call("diff", files.healthy, files.drifted, "--expect-frozen", "no*")
    assert "The statistics of 1 of 1 layer moved; the largest gap is 3.00, in norm." in done.stdout
    assert "BN402 warning" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--expect-frozen", "bn"], "--expect-frozen bn: no normalization layer has such a name."),
        (
            ["--report", "channels-csv=out.csv"],
            "--report channels-csv: a difference is written as one of csv,",
        ),
        (["--report", "{healthy}.json", "--report", "json={healthy}"], "inputs are never overwritten"),
        (["--key", "ema"], "ema"),
    ],
)
def test_wrong_commands(files: Files, scratch: Path, options: list[str], message: str) -> None:
    typed = [option.format(healthy=files.healthy) for option in options]
    assert message in refused(call("diff", files.healthy, files.drifted, *typed), 2)


def test_files_that_are_not_there_or_cannot_be_read(files: Files) -> None:
    assert "There is no file none.pt." in refused(call("diff", files.healthy, "none.pt"), 2)
    assert "corrupt.pt" in refused(call("diff", files.corrupt, files.healthy), 3)
    assert "without_tensors.pt" in refused(call("diff", files.healthy, files.without_tensors), 3)
    assert not (files.folder / "executed").exists()


def test_a_call_in_a_pickle_is_not_made(files: Files) -> None:
    assert call("diff", files.healthy, files.hostile).code == 0
    assert not (files.folder / "executed").exists()


def test_reports(files: Files, scratch: Path) -> None:
    done = call("diff", files.healthy, files.drifted, "--report", "json=-", "--report", "d.csv")
    assert done.code == 0
    assert [(layer["name"], layer["moved"]) for layer in done.json["layers"]] == [("norm", True)]
    assert done.json["before"]["path"] == files.healthy
    assert "gate" not in done.json["run"]["options"]
    assert pandas.read_csv("d.csv")["name"].tolist() == [
        each["name"] for each in (*done.json["layers"], *done.json["tensors"])
    ]
    csv = call("diff", files.healthy, files.drifted, "--report", "csv=-")
    assert pandas.read_csv(io.StringIO(csv.stdout))["gap"].iloc[0] == pytest.approx(3.0, rel=1e-3)


def test_a_difference_is_no_report(files: Files, scratch: Path) -> None:
    assert call("diff", files.healthy, files.drifted, "--report", "d.json", "-q").stdout == ""
    assert "d.json is no whole report" in refused(call("gate", "d.json"), 3)


def test_the_json_of_a_frozen_layer_that_moved(files: Files) -> None:
    done = call("diff", files.healthy, files.drifted, "--expect-frozen", "norm", "--report", "json=-")
    assert done.code == 1
    assert [finding["code"] for finding in done.json["findings"]] == ["BN402"]


@pytest.mark.parametrize("name", ["html", "markdown", "junit", "sarif", "github"])
def test_a_difference_in_every_format(files: Files, scratch: Path, name: str) -> None:
    done = call("diff", files.healthy, files.drifted, "--expect-frozen", "norm", "--report", f"{name}=-")
    assert done.code == 1
    assert "BN402" in done.stdout
