"""Arguments and configurations that mean nothing end in one message and exit code 2, files that never end in 3."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import call, refused, users_code
from made_files import Files

NET = ("--arch", users_code("Net"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seed", "9" * 23), "it must be below 2**63"),
        (("--batch-size", "9" * 23), "it must be below 2**40"),
        (("--limit", str(2**40)), "it must be below 2**40"),
        (("--batch-sizes", f"1,{10**30}"), "it must be below 2**40"),
        (("--max-gap", "nan"), "--max-gap nan"),
        (("--until", "nan"), "--until nan"),
        (("--device", "hpu"), "--device hpu cannot be used here"),
        (
            ("--device", "gpu"),
            "--device gpu (did you mean cuda?) cannot be used here: PyTorch knows no device of that name.",
        ),
        (("--device", "meta"), "--device meta cannot be used here: Cannot copy out of meta tensor"),
        (("--arch-kwargs", "[" * 100_000), "not JSON (it is nested too deeply)"),
        (("--arch-kwargs", f'{{"outputs": {"9" * 5000}}}'), "not JSON (Exceeds the limit"),
        (("--arch-kwargs", '{"outputs": NaN}'), "not JSON (NaN is not JSON)"),
        (("--arch-kwargs", '{"outputs": 1, "outputs": 2}'), 'not JSON (the key "outputs" stands twice'),
        (("--report", f"json={'x' * 300}"), "File name too long"),
        (("--report", "json=a\0"), "null character"),
    ],
)
def test_arguments(files: Files, options: tuple[str, ...], message: str) -> None:
    said = refused(call("inspect", files.healthy, *NET, "--data", files.data, "--quiet", *options), 2)
    assert message in said
    assert len(said) < 600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool = 5", "tool should be a table, and is 5"),
        ("[tool]\nbncheck = 5", "should be a table of options, and is 5"),
        ("[tool.bncheck]\nx = " + "[" * 100_000, "is nested too deeply"),
        ("[tool.bncheck]\nseed = " + "9" * 5000, "is not TOML: Exceeds the limit"),
        ("[tool.bncheck]\nseed = " + "9" * 400, "it must be below 2**63"),
        ("[tool.bncheck]\nseed = 2026-01-01", "seed should be a whole number, and is datetime.date(2026, 1, 1)"),
        ("[tool.bncheck]\nseed = '" + "x" * 10**6 + "'", "seed should be a whole number"),
        ("[tool.bncheck]\narch-kwargs = {a = 2026-01-01}", "should hold texts, finite numbers"),
        ("[tool.bncheck]\narch-kwargs = {a = nan}", "should hold texts, finite numbers"),
        ("[tool.bncheck]\nmax-gap = nan", "max-gap should be at least 0, and is nan"),
        ("[tool.bncheck]\n'" + "k" * 10_000 + "' = 1", "there is no option 'kkk"),
        ("#" * 5_000_000, "it is larger than 4 MiB"),
        ("seed = 1\nseed = 2", "is not TOML: Cannot overwrite a value"),
    ],
    ids=lambda value: value[:30],
)
def test_configurations(files: Files, scratch: Path, text: str, message: str) -> None:
    (scratch / "pyproject.toml").write_text(text)
    said = refused(call("inspect", files.healthy, *NET, "--data", files.data), 2)
    assert message in said
    assert len(said) < 800


@pytest.mark.parametrize("name", ["/dev/zero", "pipe", "loop", "."])
def test_what_never_ends_is_not_read(files: Files, scratch: Path, name: str) -> None:
    os.mkfifo(scratch / "pipe")
    (scratch / "loop").symlink_to("loop")
    assert call("inspect", files.healthy, "--report", "report.json", "--quiet").code == 0
    for command in (
        ("gate", name),
        ("gate", "report.json", "--baseline", name),
        ("inspect", files.healthy, *NET, "--data", name),
    ):
        done = call(*command, "--quiet")
        assert done.code in (2, 3)
        assert len(refused(done, done.code)) < 400
