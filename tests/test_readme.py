"""The README is true: its demo is what the command prints, and it names only options that exist."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from called import Done, call

from bncheck.cli.app import app
from bncheck.repair.methods import renorm
from bncheck.repair.training.result import FineTuned

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = ROOT / "docs" / "guide"
DEMO = ["inspect", "sample_models/never_updated.torchscript.pt", "--data", "sample_models/digits_eval.npz"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Calls a command in a folder, as in a terminal of 80 columns without colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    def called(*arguments: str, folder: Path = ROOT) -> Done:
        monkeypatch.chdir(folder)
        return call(*arguments)

    return called


@pytest.fixture
def trained_once(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Has no training made twice from the same model, data and options; gives what was trained."""
    made: list[object] = []
    known: list[tuple[object, FineTuned]] = []

    @functools.wraps(renorm.fine_tune)
    def fine_tune(model: Any, batches: Any, options: Any, *, heldout: Any, progress: Any) -> FineTuned:
        asked = (model.path, model.sha256, batches.name, options, heldout and heldout.name)
        for given, tuned in known:
            if given == asked:
                return tuned
        made.append(asked)
        known.append((asked, fine_tune.__wrapped__(model, batches, options, heldout=heldout, progress=progress)))
        return known[-1][1]

    monkeypatch.setattr(renorm, "fine_tune", fine_tune)
    return made


def without_digits(text: str) -> str:
    """The text with every number blanked: other processors round the last digit otherwise."""
    return re.sub(r"[<\d.]+\d", "#", text)


@pytest.mark.slow
def test_the_demo_is_what_the_command_prints(run: Callable[..., Done]) -> None:
    shown = README.split("<!-- demo -->\n```console\n")[1].split("```\n<!-- /demo -->")[0]
    command, _, output = shown.partition("\n")
    done = run(*DEMO)
    assert done.code == 1, done.stderr
    assert command == f"$ bncheck {' '.join(DEMO)}"
    assert without_digits(output.strip()) == without_digits(done.stdout.strip())


@pytest.mark.training
def test_the_repairs_repair(tmp_path: Path, run: Callable[..., Done], trained_once: list[object]) -> None:
    page = (GUIDE / "repairing.md").read_text(encoding="utf-8")
    shown = page.split("<!-- repair -->\n```console\n")[1].split("```\n<!-- /repair -->")[0]
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    written = []
    for line in shown.splitlines():
        command = line.removeprefix("$ bncheck ").split()
        done = run(*command, folder=tmp_path)
        assert (done.code, "The repaired model is better." in done.stdout) == (0, True), done
        written += command[command.index("--out") + 1 :] if "--out" in command else []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["sample_models", *written])
    assert len(written) == 3
    assert len(trained_once) == 1, "the two commands that fine-tune show one training"


def test_every_option_that_the_pages_name_exists() -> None:
    guides = [ROOT / "SECURITY.md", *GUIDE.glob("*.md"), *(ROOT / "docs" / "start").glob("*.md")]
    pages = "\n".join([README, *(page.read_text(encoding="utf-8") for page in guides)])
    pages = re.sub(r"(?m)^\$ (?:docker build .*|(?:uvx|pipx|docker) .* bncheck(?::\w+)? )", "", pages)  # their options
    pages = re.sub(r"(?m)^ +run: gh .*$", "", pages)
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", pages))
    group = typer.main.get_command(app)
    known = {option for one in (group, *group.commands.values()) for given in one.params for option in given.opts}
    assert documented <= known, documented - known


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)`", README)) <= targets
