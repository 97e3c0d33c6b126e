"""`[tool.bncheck]` and bncheck.toml: under the command line, never instead of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from command_line import USERS_CODE, call, refused
from made_files import Files

from bncheck.cli.app import app
from bncheck.cli.configuration import options_of

IGNORE = '\n[[tool.bncheck.ignore-layers]]\nlayer = "norm"\ncodes = ["BN603"]\nreason = "Another camera."\n'


@pytest.fixture
def project(files: Files, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose configuration names data and architecture beside it; a folder in it to stand in."""
    for name, target in (("net.py", USERS_CODE), ("val.npz", files.labelled)):
        (scratch / name).symlink_to(target)
    (scratch / "pyproject.toml").write_text(
        '[tool.bncheck]\ndata = "val.npz"\narch = "net.py:Net"\nlimit = 150\nreport = ["json=report.json"]\n'
    )
    (scratch / "inner").mkdir()
    monkeypatch.chdir(scratch / "inner")
    return scratch


def add(project: Path, text: str) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write(text)


def report(project: Path) -> dict[str, object]:
    return json.loads((project / "report.json").read_text())


def test_options_come_from_the_file(files: Files, project: Path) -> None:
    done = call("inspect", files.drifted)
    assert done.code == 1
    assert "Options of ../pyproject.toml [tool.bncheck]: arch, data, limit, report.\n" in done.stderr
    assert "--arch imports and runs ../net.py." in done.stderr
    document = report(project)
    assert document["data"]["samples"] == 150
    assert document["run"]["options"]["data"] == "../val.npz"
    assert "context" not in document["run"]["options"]


def test_the_command_line_wins(files: Files, project: Path) -> None:
    done = call("inspect", files.drifted, "--limit", "120", "--report", "json=other.json")
    assert "Options of ../pyproject.toml [tool.bncheck]: arch, data.\n" in done.stderr
    assert not (project / "report.json").exists()
    assert json.loads(Path("other.json").read_text())["data"]["samples"] == 120


def test_without_configuration_it_is_as_if_there_were_none(files: Files, project: Path) -> None:
    done = call("inspect", files.drifted, "--no-config")
    assert done.code == 0
    assert "Nothing wrong in the stored values." in " ".join(done.stdout.split())
    assert "Options of" not in done.stderr
    assert not (project / "report.json").exists()


def test_quiet_does_not_tell(files: Files, project: Path) -> None:
    assert call("inspect", files.drifted, "-q").stderr == ""


def test_a_layer_is_ignored_for_a_reason(files: Files, project: Path) -> None:
    add(project, IGNORE)
    done = call("inspect", files.drifted)
    assert done.code == 0
    assert "Accepted BN603 in norm: ignored, Another camera" in done.stdout
    (finding,) = report(project)["findings"]
    assert finding["accepted"] == "ignored, Another camera (../pyproject.toml [tool.bncheck])"
    assert call("inspect", files.drifted, "--no-config", "--arch", "../net.py:Net", "--data", "../val.npz").code == 1


def test_an_ignore_of_no_use_is_told(files: Files, project: Path) -> None:
    add(project, IGNORE)
    done = call("inspect", files.healthy)
    assert done.code == 0
    assert "Of no use any more: the ignore of ../pyproject.toml" in done.stdout


def test_gate_takes_the_limits_and_ignores_and_leaves_its_reports_alone(files: Files, project: Path) -> None:
    assert call("inspect", files.drifted).code == 1
    before = (project / "report.json").read_bytes()
    assert call("gate", "../report.json").code == 1
    add(project, 'fail-on = "never"\n')
    done = call("gate", "../report.json")
    assert (done.code, done.stderr) == (0, "Options of ../pyproject.toml [tool.bncheck]: fail-on.\n")
    assert call("gate", "../report.json", "--fail-on", "warning").code == 1
    assert call("gate", "../report.json", "--no-config").code == 1
    add(project, IGNORE)
    assert call("gate", "../report.json", "--fail-on", "warning").code == 0
    assert (project / "report.json").read_bytes() == before


def test_repair_reads_its_data_as_inspect_does_and_takes_other_data(files: Files, project: Path) -> None:
    add(project, 'seed = 3\nmethod = "blend"\nprior = 8\n')
    assert "Missing option '--data'" in call("repair", files.drifted, "--out", "r.pt").stderr
    done = call("repair", files.drifted, "--data", files.labelled, "--out", "repaired.pt")
    assert "Options of ../pyproject.toml [tool.bncheck]: arch, method, prior, seed.\n" in done.stderr
    assert done.code == 0
    assert "blended by 200 samples" in done.stdout
    assert Path("repaired.pt").is_file()
    assert not (project / "report.json").exists()


@pytest.mark.parametrize("command", ["inspect", "gate", "stamp"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_gap = 1", "there is no option 'max_gap' (did you mean max-gap?)."),
        ("trust-pickle = true", "trust-pickle cannot stand in a file."),
        ('allow-op = ["aten::save"]', "allow-op cannot stand in a file."),
        ('shard = "1/2"', "shard cannot stand in a file."),
        ("no-config = true", "there is no option 'no-config'"),
        ("= 1", "../pyproject.toml is not TOML"),
    ],
)
def test_mistakes_in_the_file_are_the_commands(project: Path, command: str, text: str, message: str) -> None:
    add(project, text)
    assert message in refused(call(command, "model.pt"), 2)


def test_help_and_rules_do_not_read_it(project: Path) -> None:
    add(project, "nonsense = 1")
    for command in (["inspect", "--help"], ["rules"], ["--version"]):
        assert call(*command).code == 0


def test_a_value_that_is_wrong_for_its_option(files: Files, project: Path) -> None:
    add(project, 'fail-on = "sometimes"')
    message = refused(call("inspect", files.healthy, "-q"), 2)
    assert "bncheck: ../pyproject.toml [tool.bncheck]: fail-on sometimes: choose one of" in message


def test_an_error_says_where_the_value_stands(files: Files, project: Path) -> None:
    add(project, 'until = -1\nmean = "none"')
    until = ("inspect", files.healthy, "--mean", "0,0", "-q")
    assert "bncheck: ../pyproject.toml [tool.bncheck]: until -1: it must be at least 0." in refused(call(*until), 2)
    typed = refused(call(*until, "--until", "-2"), 2)
    assert "bncheck: --until -2: it must be at least 0." in typed
    mean = refused(call("inspect", files.healthy, "--until", "0", "-q"), 2)
    assert "bncheck: ../pyproject.toml [tool.bncheck]: mean none: expected numbers" in mean


def test_every_option_that_names_files_is_known_to() -> None:
    kinds = options_of(typer.main.get_command(app).commands)
    assert {name for name, kind in kinds.items() if kind.names} == {
        *("arch", "baseline", "data", "metric", "out", "reference", "reference-arch", "report", "write-baseline"),
        *("against", "heldout", "reference-data", "resume", "train-data", "write-moments"),
    }
    repeatable = {"allow-op", "expect-frozen", "ignore", "report", "select"}
    assert {name for name, kind in kinds.items() if kind.repeatable} == repeatable
    assert {name for name, kind in kinds.items() if kind.value == "flag"} >= {"quiet", "strict"}
    assert kinds["batch-size"].value == "whole"
    assert kinds["batch-size"].least == 1
    assert kinds["max-gap"].value == "number"
    assert "model" not in kinds
