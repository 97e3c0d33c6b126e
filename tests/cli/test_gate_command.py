"""`bncheck gate`: the verdict of `inspect` again, from its JSON alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import SCHEMA, call, call_process, refused, users_code
from jsonschema import Draft202012Validator
from made_files import Files

NET = ("--arch", users_code("Net"))


@pytest.fixture
def saved(files: Files, scratch: Path) -> str:
    """The report on drifted statistics."""
    assert call("inspect", files.drifted, *NET, "--data", files.labelled, "--report", "json=saved.json", "-q").code == 1
    return "saved.json"


def test_it_says_what_inspect_said(files: Files, saved: str) -> None:
    said = call("inspect", files.drifted, *NET, "--data", files.labelled)
    again = call("gate", saved)
    assert (again.code, again.stderr) == (said.code, "")
    assert again.stdout == said.stdout
    whole = ("-v", "--all", "--sort", "gap")
    assert (
        call("gate", saved, *whole).stdout
        == call("inspect", files.drifted, *NET, "--data", files.labelled, *whole).stdout
    )


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--fail-on", "never"], 0),
        (["--ignore", "BN6"], 0),
        (["--select", "BN6"], 1),
        (["--ignore", "BN603", "--max-gap", "0.5"], 1),
        (["--ignore", "BN603", "--max-gap", "100"], 0),
        (["--ignore", "BN6", "--strict"], 0),
    ],
)
def test_exit_codes(saved: str, options: list[str], code: int) -> None:
    assert call("gate", saved, *options).code == code


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail-on", "sometimes"], "--fail-on sometimes: choose one of error, warning, never."),
        (["--select", "BN9"], "--select BN9: no rule matches"),
        (["--report", "channels-csv=c.csv"], "a saved report has no channels"),
        (["--report", "json=saved.json"], "inputs are never overwritten"),
    ],
)
def test_wrong_commands(saved: str, options: list[str], message: str) -> None:
    assert message in refused(call("gate", saved, *options), 2)


def test_a_report_that_does_not_exist(scratch: Path) -> None:
    assert "there is no report none.json." in refused(call("gate", "none.json"), 2)


def test_no_report(files: Files, scratch: Path) -> None:
    assert "is no report of bncheck" in refused(call("gate", files.healthy), 3)
    Path("other.json").write_text('{"schema_version": 7}')
    assert "other.json has schema_version 7" in refused(call("gate", "other.json"), 3)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "."])
def test_what_is_no_file_of_a_report_is_refused_at_once(scratch: Path, name: str) -> None:
    message = refused(call("gate", name), 3)
    assert "is no ordinary file" in message or "Is a directory" in message


def test_a_report_that_was_tampered_with_is_refused_by_its_place(saved: str) -> None:
    text = Path(saved).read_text()
    for old, new, message in (
        ('"severity": "warning"', '"severity": "grave"', "findings[0].severity should be one of error, warning, info"),
        ('"channels": ', '"channels": 1' + "0" * 400 + ', "was": ', "layers[0].channels should be a smaller number"),
        ('"verdict": "findings"', '"verdict": "\\ud800"', "summary.verdict holds half a character"),
        ('"layers": [', f'"layers": [{"[" * 5000}{"]" * 5000}, ', "is nested"),
    ):
        assert old in text
        Path(saved).write_text(text.replace(old, new, 1))
        assert message in refused(call("gate", saved), 3)


def test_strict_counts_samples_that_were_left_out(saved: str) -> None:
    document = json.loads(Path(saved).read_text())
    document["findings"], document["summary"]["samples_left_out"] = [], 1
    Path(saved).write_text(json.dumps(document))
    assert [call("gate", saved, *options).code for options in ((), ("--strict",))] == [0, 4]


def test_a_saved_report_becomes_other_reports(saved: str) -> None:
    done = call("gate", saved, "--report", "sarif=-", "--report", "report.md", "--report", "layers.csv")
    assert done.code == 1
    assert done.json["runs"][0]["results"][0]["ruleId"] == "BN603"
    assert "### BN603" in Path("report.md").read_text()
    again = call("gate", saved, "--max-gap", "0.1", "--report", "json=-")
    Draft202012Validator(SCHEMA).validate(again.json)
    assert again.json["run"]["options"]["max_gap"] == 0.1
    assert {finding["code"] for finding in again.json["findings"]} == {"BN600", "BN603"}
    assert "BN600" not in Path(saved).read_text()


def test_quiet_prints_nothing(saved: str) -> None:
    done = call("gate", saved, "--quiet")
    assert (done.code, done.stdout, done.stderr) == (1, "", "")


def test_it_runs_as_a_process(saved: str) -> None:
    done = call_process("gate", saved, "--report", "json=-")
    assert done.code == 1
    assert json.loads(done.stdout)["summary"]["exit_code"] == 1
