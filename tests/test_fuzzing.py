"""The fuzzers themselves: each part of the oracle sees what it is for, and a short run of all formats finds nothing."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, given, seed, settings, strategies

import bncheck.cli
from fuzz.campaign import keep, run_batch, run_case
from fuzz.case import BYTES, OUT, STRUCTURE, Case, Format
from fuzz.formats import formats
from fuzz.oracle import MOST_MEMORY
from fuzz.repeatable import draw_by_seed_alone, old_form, plain_pickle

SOUND = Case("report", STRUCTURE, {"saved.json": b"{}"}, ("gate", "saved.json", "--no-config"))


def raising() -> None:
    raise ZeroDivisionError


def ending_oddly() -> None:
    sys.exit(70)


def printing(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(3)


def writing(path: str) -> None:
    Path(path).write_text("x", "utf-8")
    sys.exit(3)


def running() -> None:
    os.system("true")
    sys.exit(3)


def taking_memory() -> None:
    print(len(b"x" * (MOST_MEMORY + 2**25)), file=sys.stderr)
    sys.exit(3)


def writing_past_python() -> None:
    os.write(2, b"::error::x\n")
    sys.exit(3)


BROKEN = {
    "an exception": (raising, "escaped: ZeroDivisionError"),
    "exit code 70": (ending_oddly, "exit code 70"),
    "a traceback": (lambda: printing("Traceback (most recent call last):"), "traceback on stderr"),
    "a warning": (lambda: printing("/a/b.py:3: RuntimeWarning: x"), "a warning of Python's on stderr"),
    "a long message": (lambda: printing("x" * 30_000), "stderr of 30001 characters"),
    "an escape": (lambda: printing("\x1b[31m"), "an escape on stderr"),
    "a command to GitHub": (lambda: printing("a\n ::error::x"), "a line that begins with '::' on stderr"),
    "a command to Azure": (lambda: printing("bn ##vso[task.complete]x"), "a line with '##[' on stderr"),
    "the same out of C++": (writing_past_python, "a line that begins with '::' on stderr"),
    "no message": (lambda: sys.exit(3), "exit code 3 without a word"),
    "a file elsewhere": (lambda: writing(f"{tempfile.gettempdir()}/../../elsewhere"), "open: "),
    "a file beside the inputs": (lambda: writing("touched"), "touched was written"),
    "an input changed": (lambda: writing("saved.json"), "saved.json was changed"),
    "an input gone": (lambda: (Path("saved.json").unlink(), printing("x")), "saved.json is gone"),
    "half an output": (lambda: writing(f"{OUT}/.report.json.partial"), "was left"),
    "a temporary file": (lambda: writing(f"{tempfile.gettempdir()}/x"), "tmp/x was written"),
    "a process": (running, "os.system: "),
    "memory": (taking_memory, "memory: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_oracle_sees(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main, problem = BROKEN[name]
    monkeypatch.setattr(bncheck.cli, "main", main)
    found = run_case(SOUND).problems
    assert any(problem in one for one in found), found


def test_the_oracle_sees_a_command_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> None:
        while True:
            with contextlib.suppress(Exception):  # what ends it must not be caught
                sum(range(1000))

    monkeypatch.setattr(bncheck.cli, "main", endless)
    monkeypatch.setattr("fuzz.running.MOST_SECONDS", 0.05)
    assert any(one.startswith("hang: ") for one in run_case(SOUND).problems)


def test_what_is_removed_from_an_open_folder_is_told_by_its_whole_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def removing() -> None:  # as `shutil.rmtree` does
        (Path("out") / "a").write_bytes(b"")
        folder = os.open("out", os.O_RDONLY)
        os.remove("a", dir_fd=folder)
        os.close(folder)
        raise SystemExit(0)

    monkeypatch.setattr(bncheck.cli, "main", removing)
    assert run_case(SOUND).problems == ()


def test_the_oracle_is_content_with_a_message() -> None:
    judged = run_case(SOUND)
    assert judged.done.code == 3
    assert judged.problems == ()


@pytest.mark.slow
def test_a_finding_is_made_small_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise ZeroDivisionError(len(Path("saved.json").read_bytes()))

    report = named("report")
    monkeypatch.setattr(bncheck.cli, "main", failing)
    batch = run_batch(report, BYTES, 5, 0)
    assert len(batch.findings) == 1
    assert batch.findings[0].case.typed == ("gate", "saved.json", "--no-config")  # the simplest of its commands
    content, sound = batch.findings[0].case.files["saved.json"], report.sound["saved.json"]
    assert sum(one != other for one, other in zip(content, sound, strict=True)) == 1
    place = keep(batch.findings[0], tmp_path)
    assert "bncheck gate saved.json" in (place / "again.sh").read_text("utf-8")
    assert (place / "saved.json").is_file()


def named(name: str) -> Format:
    return next(format for format in formats() if format.name == name)


def test_the_same_seed_draws_the_same_whatever_modules_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_between.py").write_text("NAMES = ('alpha', 'beta', 'gamma')\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def drawn() -> list[str]:
        texts: list[str] = []

        @seed(7)
        @settings(max_examples=300, database=None, phases=[Phase.generate])
        @given(strategies.text())
        def draw(text: str) -> None:
            texts.append(text)

        draw()
        return texts

    draw_by_seed_alone()
    before = drawn()
    importlib.import_module("loaded_between")
    assert drawn() == before


@pytest.mark.parametrize("write", [old_form, plain_pickle])
def test_what_torch_names_by_its_address_is_written_the_same_again(write: Callable[[object], bytes]) -> None:
    kept = [{name: torch.full((3,), float(at)) for at, name in enumerate("abcd")} for _ in range(6)]
    written = {write({**tensors, "shared": tensors["b"][1:]}) for tensors in reversed(kept)}
    assert len(written) == 1
    with tempfile.TemporaryFile() as file:
        file.write(written.pop())
        file.seek(0)
        read = torch.load(file, weights_only=True) if write is old_form else pickle.load(file)
    assert {name: tensor.tolist() for name, tensor in read.items()} == {
        **{name: [float(at)] * 3 for at, name in enumerate("abcd")},
        "shared": [1.0, 1.0],
    }


@pytest.mark.slow
def test_the_same_seed_draws_the_same_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[Case]] = []
    formats()  # before bncheck does nothing any more
    monkeypatch.setattr(bncheck.cli, "main", lambda: printing("x"))
    started = time.time()
    for days in range(2):
        monkeypatch.setattr("time.time", lambda days=days: started + 86_400 * days)
        drawn.append([])
        for format in formats():
            run_batch(format, STRUCTURE, 5, 7, drawn[-1].append)
    assert [(case.format, case.typed, dict(case.files)) for case in drawn[0]] == [
        (case.format, case.typed, dict(case.files)) for case in drawn[1]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [STRUCTURE, BYTES])
def test_a_short_run_finds_nothing(kind: str) -> None:
    for format in formats():
        batch = run_batch(format, kind, 3, 20)
        assert not batch.findings, batch.findings[0].problems
        assert len(batch.ran) == 3
