"""The recipes for CI servers: their files hang together, and their commands do on sample models what the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from bncheck.cli.app import app

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_models"
PAGE = (ROOT / "docs" / "guide" / "recipes.md").read_text(encoding="utf-8")
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
MODEL = "never_updated.torchscript.pt"


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in the order of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


GITHUB, GITLAB, LOCAL, HOOKED = map(yaml.safe_load, blocks("yaml"))
(JENKINS,) = blocks("groovy")
SHELLS = {
    "GitLab": GITLAB["bncheck"]["script"],
    "Jenkins": re.findall(r"sh '(.*)'", JENKINS),
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a faulty model and data under the names of the page."""
    shutil.copy(SAMPLES / MODEL, tmp_path / "model.pt2")
    shutil.copy(SAMPLES / "digits_eval.npz", tmp_path / "val.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_servers_run_the_same_commands() -> None:
    assert SHELLS["GitLab"] == SHELLS["Jenkins"]


def test_the_commands_fail_a_faulty_model_and_leave_what_the_server_collects(repository: Path) -> None:
    install, remove, *own = SHELLS["GitLab"]
    assert install == 'pip install "./bncheck[torch,html]"'
    subprocess.run(shlex.split(remove), check=True)
    codes = [CliRunner().invoke(app, shlex.split(line)[1:]).exit_code for line in own]
    assert codes == [1, 1], "and where a shell ends with the first, the gate is not asked"
    collected = [GITLAB["bncheck"]["artifacts"]["reports"]["junit"], *GITLAB["bncheck"]["artifacts"]["paths"]]
    named = {*re.findall(r"junit '(.*)'", JENKINS), *re.search(r"artifacts: '(.*?)'", JENKINS)[1].split(", ")}
    assert named == set(collected)
    assert all((repository / name).stat().st_size for name in collected)
    cases = ElementTree.parse(repository / "bncheck.xml").iter("testcase")
    assert [case.get("name", "")[:5] for case in cases if case.find("failure") is not None] == ["BN102"]
    assert json.loads((repository / "bncheck.json").read_text())["complete"] is True


def test_the_workflow_takes_what_the_action_gives(repository: Path) -> None:
    steps: list[dict[str, Any]] = GITHUB["jobs"]["bncheck"]["steps"]
    inspect = next(step for step in steps if step.get("id") == "bncheck")
    assert set(inspect["with"]) <= set(ACTION["inputs"])
    used = set(re.findall(r"steps\.bncheck\.outputs\.([\w-]+)", PAGE))
    assert used <= set(ACTION["outputs"])
    assert GITHUB["permissions"] == {"contents": "read", "security-events": "write", "pull-requests": "write"}
    given = inspect["with"]
    line = ["inspect", given["model"], "--data", given["data"], *shlex.split(given["options"])]
    assert CliRunner().invoke(app, line).exit_code == 1
    comment = steps[-1]
    body = shlex.split(comment["run"])[-1]
    assert f"hashFiles('{body}')" in comment["if"]
    assert "BN102" in (repository / body).read_text(encoding="utf-8")
    assert all("always()" in step["if"] for step in steps[-2:]), "they tell of a step that failed"
    assert "${{" not in comment["run"], "what an event holds comes as a variable, and not into the script"


def test_the_local_hook_is_the_published_one_but_for_the_environment() -> None:
    (hook,) = LOCAL["repos"][0]["hooks"]
    assert LOCAL["repos"][0]["repo"] == "local"
    assert hook["language"] == "system"
    same = ("id", "name", "entry", "files", "exclude", "require_serial")
    assert {key: hook[key] for key in same} == {key: HOOK[key] for key in same}
    assert [each["id"] for each in HOOKED["repos"][0]["hooks"]] == [HOOK["id"]]


def test_other_pages_lead_here() -> None:
    for page, link in (("start/ci.md", "../guide/recipes.md"), ("guide/ci.md", "recipes.md")):
        assert f"]({link})" in (ROOT / "docs" / page).read_text(encoding="utf-8"), page
