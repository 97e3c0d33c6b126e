"""The GitHub Action: its inputs and outputs hang together, and its script does in a scratch repository what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml

from bncheck.cli.app import app

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_models"
TEXT = (ROOT / "action.yml").read_text()
ACTION = yaml.load(TEXT, yaml.BaseLoader)
STEPS = ACTION["runs"]["steps"]
(INSPECT,) = (step for step in STEPS if step.get("id") == "inspect")


@dataclass(frozen=True, slots=True)
class Ended:
    """How the step ended."""

    code: int
    stdout: str
    outputs: dict[str, str]
    summary: str


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A scratch repository with models and data, and the runner's own files beside it."""
    folder = tmp_path / "repository"
    (folder / "models").mkdir(parents=True)
    (tmp_path / "runner").mkdir()
    for name in ("healthy.pt", "never_updated.torchscript.pt", "folded.torchscript.pt"):
        shutil.copy(SAMPLES / name, folder / "models")
    shutil.copy(SAMPLES / "digits_eval.npz", folder / "val data.npz")
    shutil.copy(SAMPLES / "digits_net.py", folder / "net.py")
    return folder


STANDING_IN = """#!/bin/sh
echo "$@" > "$RUNNER_TEMP/asked"
exit {code}
"""
"""A `python` that ends as bncheck does with that code: what it does before is shown in the commands' own tests."""


def stand_in(repository: Path, code: int) -> Path:
    """A folder for the search path with nothing but that `python`."""
    folder = repository.parent / "bin"
    folder.mkdir()
    (folder / "python").write_text(STANDING_IN.format(code=code))
    (folder / "python").chmod(0o755)
    return folder


def run_step(repository: Path, *, first: Path = Path(sys.executable).parent, **inputs: str) -> Ended:
    """The script of the step as the runner starts it: bash, -e and pipefail, inputs in the environment.

    `python` is that of the folder `first`.
    """
    given = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | {
        name.replace("_", "-"): value for name, value in inputs.items()
    }
    runner = repository.parent / "runner"
    environment = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
        for name, value in INSPECT["env"].items()
    }
    assert not any("${{" in value for value in environment.values())
    own = {
        "PATH": f"{first}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RUNNER_TEMP": str(runner),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary"),
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", INSPECT["run"]],
        capture_output=True,
        text=True,
        cwd=repository / given["working-directory"],
        env={**os.environ, **environment, **own},
        timeout=600,
    )
    outputs = dict(line.split("=", 1) for line in (runner / "output").read_text().splitlines())
    summary = runner / "summary"
    return Ended(done.returncode, done.stdout, outputs, summary.read_text() if summary.exists() else "")


def test_it_is_a_composite_action() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert all(step["shell"] == "bash" for step in STEPS)
    assert ACTION["name"]
    assert ACTION["description"]


def test_every_input_is_used_and_every_used_one_declared() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", TEXT))
    assert used == set(ACTION["inputs"])
    assert all(entry["description"] for entry in ACTION["inputs"].values())


def test_inputs_never_become_script() -> None:
    for step in STEPS:
        assert "${{" not in step["run"]
    variables = set(re.findall(r"\$\{?(BNCHECK_\w+)", INSPECT["run"]))
    assert variables == set(INSPECT["env"])


def test_every_output_is_written_by_the_script() -> None:
    for name, entry in ACTION["outputs"].items():
        assert entry["value"] == f"${{{{ steps.inspect.outputs.{name} }}}}"
        assert f'echo "{name}=' in INSPECT["run"]


def test_every_option_exists() -> None:
    known = {option for each in typer.main.get_command(app).commands["inspect"].params for option in each.opts}
    assert set(re.findall(r"--[a-z-]+", INSPECT["run"])) <= known
    assert set(re.findall(r"--[a-z-]+", TEXT)) - known == {"--quiet"} - known


@pytest.mark.slow
def test_a_model_with_findings_fails_the_job_and_says_so_everywhere(repository: Path) -> None:
    ended = run_step(repository, model="models/never_updated.torchscript.pt", data="val data.npz")
    assert ended.code == 1
    assert "Found 1 error. BN102: " in ended.stdout
    assert "::error file=models/never_updated.torchscript.pt,title=BN102" in ended.stdout
    assert "### BN102 error" in ended.summary
    assert ended.outputs == {"exit-code": "1", "sarif": "./bncheck.sarif", "json": "./bncheck.json"}
    (run,) = json.loads((repository / ended.outputs["sarif"]).read_text())["runs"]
    assert run["artifacts"][0]["location"]["uri"] == "models/never_updated.torchscript.pt"
    assert json.loads((repository / ended.outputs["json"]).read_text())["summary"]["exit_code"] == 1


@pytest.mark.slow
def test_a_healthy_model_passes(repository: Path) -> None:
    ended = run_step(
        repository, model="healthy.pt", arch="../net.py:build", data="../val data.npz", working_directory="models",
        options="--limit 300 --ignore 'BN706, BN707'", fail_on="error", sarif="out.sarif",
    )  # fmt: skip
    assert ended.code == 0, ended.stdout
    assert "::error" not in ended.stdout
    assert ended.outputs == {"exit-code": "0", "sarif": "models/out.sarif", "json": "models/bncheck.json"}
    options = json.loads((repository / "models" / "bncheck.json").read_text())["run"]["options"]
    assert (options["limit"], options["ignore"], options["fail_on"]) == (300, ["BN706, BN707"], "error")


def test_a_loader_that_ends_the_process_is_no_pass(repository: Path) -> None:
    """No command can catch it: the reports that are not there tell."""
    (repository / "leaving.py").write_text("import os\ndef batches():\n    os._exit(0)\n")
    ended = run_step(repository, model="models/healthy.pt", arch="net.py:build", data="leaving.py:batches")
    assert (ended.code, ended.outputs) == (3, {"exit-code": "3"})
    assert "::error title=bncheck::The inspection ended before its reports were written." in ended.stdout


@pytest.mark.slow
def test_a_model_that_cannot_be_checked_fails_the_job_too(repository: Path) -> None:
    ended = run_step(repository, model="models/folded.torchscript.pt")
    assert ended.code == 4
    assert ended.outputs["exit-code"] == "4"
    assert "sarif" in ended.outputs


@pytest.mark.parametrize("code", [2, 3])
def test_other_exit_codes_fail_the_job_too(repository: Path, code: int) -> None:
    ended = run_step(repository, model="val data.npz", first=stand_in(repository, code))
    assert (repository.parent / "runner" / "asked").read_text().startswith("-m bncheck inspect val data.npz ")
    assert ended.code == code
    assert ended.outputs == {"exit-code": str(code)}


def test_no_input_runs_anything(repository: Path) -> None:
    hostile = 'x"; touch owned; $(touch owned) `touch owned`'
    ended = run_step(repository, model=hostile, data=hostile, options='--limit $(touch owned) "`touch owned`"')
    assert ended.code == 2
    assert not list(repository.rglob("owned"))
