"""The README is true: its demo is what the command prints, and it names only options that exist."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import typer

from bncheck.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = ["inspect", "sample_models/never_updated.torchscript.pt", "--data", "sample_models/digits_eval.npz"]


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-m", "bncheck", *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )


def without_digits(text: str) -> str:
    """The text with every number blanked: other processors round the last digit otherwise."""
    return re.sub(r"[<\d.]+\d", "#", text)


def test_the_demo_is_what_the_command_prints() -> None:
    shown = README.split("<!-- demo -->\n```console\n")[1].split("```\n<!-- /demo -->")[0]
    command, _, output = shown.partition("\n")
    done = run(*DEMO)
    assert done.returncode == 1, done.stderr
    assert command == f"$ bncheck {' '.join(DEMO)}"
    assert without_digits(output.strip()) == without_digits(done.stdout.strip())


def test_the_repairs_repair(tmp_path: Path) -> None:
    shown = README.split("<!-- repair -->\n```console\n")[1].split("```\n<!-- /repair -->")[0]
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    written = []
    for line in shown.splitlines():
        command = line.removeprefix("$ bncheck ").split()
        done = run(*command, folder=tmp_path)
        assert (done.returncode, "The repaired model is better." in done.stdout) == (0, True), done
        written += command[command.index("--out") + 1 :] if "--out" in command else []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["sample_models", *written])
    assert len(written) == 3


def test_every_option_that_the_pages_name_exists() -> None:
    pages = README + (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", pages))
    group = typer.main.get_command(app)
    known = {option for one in (group, *group.commands.values()) for given in one.params for option in given.opts}
    assert documented <= known, documented - known


def test_what_goes_to_stdout_can_be_piped() -> None:
    done = run(*DEMO, "--report", "json=-")
    assert json.loads(done.stdout)["summary"]["verdict"] == "findings"


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)`", README)) <= targets
