"""The pre-commit hook: which files it takes, and that its entry audits them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from bncheck.cli.app import app
from bncheck.cli.commands.audit import together

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_models"
(HOOK,) = yaml.load((ROOT / ".pre-commit-hooks.yaml").read_text(), yaml.BaseLoader)


def takes(name: str) -> bool:
    """As pre-commit decides."""
    return bool(re.search(HOOK["files"], name)) and not re.search(HOOK["exclude"], name)


def entry(*names: str) -> list[str]:
    """The arguments of the entry with files appended, as pre-commit runs it."""
    program, *arguments = shlex.split(HOOK["entry"])
    assert program == "bncheck"
    return [*arguments, *names]


def audit(*names: str) -> Result:
    """The entry run in this process, in the working folder."""
    return CliRunner().invoke(app, entry(*names))


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("models/a.pt", True),
        ("a.pth", True),
        ("a.ckpt", True),
        ("a.pt2", True),
        ("a.onnx", True),
        ("a.safetensors", True),
        ("a.safetensors.index.json", True),
        ("a-00001-of-00002.safetensors", False),
        ("a.json", False),
        ("a.pt.txt", False),
        ("pt", False),
    ],
)
def test_files(name: str, taken: bool) -> None:
    assert takes(name) is taken


def test_the_hook_has_what_pre_commit_needs() -> None:
    assert {"id", "name", "entry", "language"} <= HOOK.keys()
    assert HOOK["language"] == "python"
    assert HOOK["require_serial"] == "true"
    # In an environment of its own, which the base install alone would leave without what these files take.
    assert HOOK["additional_dependencies"] == ["torch", "onnx"]


@pytest.mark.slow
def test_changed_models_are_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [path.name for path in SAMPLES.iterdir() if takes(path.name)]
    assert {"healthy.pt", "negative_variance.pth", "nan_statistics.pt2", "stale_statistics.ckpt"} <= set(names)
    for name in names:
        shutil.copy(SAMPLES / name, tmp_path)
    command = [sys.executable, "-m", "bncheck", *entry("healthy.pt", "stale_statistics.ckpt", "one_class_batches.pt")]
    fine = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (fine.returncode, fine.stderr) == (0, "")
    assert [line.split()[0] for line in fine.stdout.splitlines() if "Nothing wrong" in line] == [
        "healthy.pt",
        "stale_statistics.ckpt",
        "one_class_batches.pt",
    ]
    bad = audit("healthy.pt", "negative_variance.pth", "nan_statistics.pt2")
    assert bad.exit_code == 1
    assert "BN202 error" in bad.stdout
    assert "BN201 error" in bad.stdout


def test_one_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(SAMPLES / "negative_variance.pth", tmp_path)
    (tmp_path / "cut.pt").write_bytes((SAMPLES / "healthy.pt").read_bytes()[:4000])
    done = audit("cut.pt", "negative_variance.pth")
    assert done.exit_code == 3
    assert "cut.pt is cut off or damaged" in done.stderr
    assert "BN202 error" in done.stdout


def test_the_configuration_of_the_repository_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(SAMPLES / "negative_variance.pth", tmp_path)
    (tmp_path / "bncheck.toml").write_text(
        'data = "val.npz"\n[[ignore-layers]]\nlayer = "blocks.*"\ncodes = ["BN202"]\nreason = "Planted."\n'
    )
    done = audit("negative_variance.pth")
    assert done.exit_code == 0
    assert "Accepted BN202 in blocks.2.body.0.bn: ignored, Planted" in done.stdout


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0, 0], 0), ([0, 4], 0), ([4, 4], 4), ([0, 1], 1), ([1, 4], 1), ([1, 3, 0], 3), ([3, 2, 1], 2)],
)
def test_the_exit_code_of_several_files(codes: list[int], code: int) -> None:
    assert together(codes) == code


def test_the_developers_hooks_run_what_the_set_up_brings() -> None:
    (repository,) = yaml.load((ROOT / ".pre-commit-config.yaml").read_text(), yaml.BaseLoader)["repos"]
    assert repository["repo"] == "local"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = {re.split(r"\W", one)[0] for one in project["optional-dependencies"]["dev"]}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff", "ruff-format", "mypy", "quick"]
    for hook in repository["hooks"]:
        program, first, *_ = [*shlex.split(hook["entry"]), ""]
        assert hook["language"] == "system"
        assert first in targets if program == "make" else program.removeprefix(".venv/bin/") in tools
