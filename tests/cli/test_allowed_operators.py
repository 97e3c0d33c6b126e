"""`--allow-op`: what a program may call beyond arithmetic, by name and for one run."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from command_line import call, refused
from made_files import Files
from torch import nn


class Saving(nn.Module):
    """Saves what it is given, and prints."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.norm, self.path = nn.BatchNorm2d(2), path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.path)
        print("::error::saved \x1b[31m")
        return self.norm(x).mean((2, 3))


@pytest.fixture
def saving(scratch: Path) -> str:
    """A file that saves its input into `written`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Saving("written").eval()), "saving.pt")
    return "saving.pt"


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "saving.pt"),
        ("inspect", "saving.pt", "--data", "DATA"),
        ("inspect", "saving.pt", "--trust-pickle"),
        ("inspect", "healthy.pt", "--reference", "saving.pt"),
        ("repair", "saving.pt", "--data", "DATA", "--out", "out.pt"),
        ("audit", "saving.pt"),
        ("diff", "saving.pt", "saving.pt"),
    ],
    ids=" ".join,
)
def test_a_program_that_writes_is_refused_by_every_command(
    files: Files, saving: str, scratch: Path, command: tuple[str, ...]
) -> None:
    known = {"DATA": files.data, "healthy.pt": files.healthy}
    done = call(*(known.get(word, word) for word in command))
    assert "saving.pt was not loaded: it uses aten::save." in done.stderr
    assert "pass --allow-op aten::save." in done.stderr
    assert (done.code, done.stdout) == (3, "")
    assert not (scratch / "written").exists()
    allowed = call(*(known.get(word, word) for word in command), "--allow-op", "aten::save")
    assert "was not loaded" not in allowed.stderr
    assert (scratch / "written").exists() == ("DATA" in command)


def test_what_was_allowed_is_said_and_stands_in_the_report(files: Files, saving: str) -> None:
    done = call("inspect", saving, "--data", files.data, "--allow-op", "aten::save", "--report", "json=-")
    assert "--allow-op lets saving.pt call aten::save, whatever that does.\n" in done.stderr
    assert done.json["run"]["options"]["allow_op"] == ["aten::save"]


def test_what_it_prints_is_harmless(files: Files, saving: str, capfd: pytest.CaptureFixture[str]) -> None:
    done = call("inspect", saving, "--data", files.data, "--allow-op", "aten::save")
    assert "\x1b" not in done.stdout + done.stderr
    assert "The model prints: ::error::saved �[31m\n" in done.stderr
    assert not any(line.startswith("::") for line in (done.stdout + done.stderr).splitlines())
    assert capfd.readouterr() == ("", ""), "the program printed past Python"


def test_a_name_that_is_none(files: Files) -> None:
    message = refused(call("inspect", files.folded, "--allow-op", "save"), 2)
    assert "--allow-op save: expected NAMESPACE::NAME" in message
