"""Whatever the user's code does, the run ends in one message and never in a pass that it did not earn."""

from __future__ import annotations

import decimal
import locale
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import hostile_code
import numpy as np
import pytest
import torch
from command_line import Done, call, refused, users_code
from made_files import Files

import bncheck.data.mixing

NET = ("--arch", users_code("Net"))
CODE = Path(hostile_code.__file__)


def named(name: str) -> str:
    return f"{CODE}:{name}"


def bounded(done: Done, code: int) -> str:
    said = refused(done, code)
    assert len(said) < 1500
    assert "\x1b" not in said
    assert not any(line.startswith("::") for line in said.splitlines())
    return said


@pytest.mark.parametrize("name", hostile_code.ERRORS)
@pytest.mark.parametrize("role", ["loader", "asked", "forward", "eval", "state", "listed", "metric"])
def test_what_it_raises_is_one_error_that_names_it(files: Files, role: str, name: str) -> None:
    """`asked`, `eval` and `listed` are no places where bncheck expects code of the user's."""
    what = named(f"{role}_{name}")
    command: tuple[Any, ...] = (files.healthy, *NET, "--data", files.labelled, "--metric", what)
    if role in ("loader", "asked"):
        command = (files.healthy, *NET, "--data", what)
    elif role != "metric":
        command = (files.healthy, "--arch", what, "--data", files.data)
    done = call("inspect", *command, "--quiet", "--report", "json=never.json")
    said = bounded(done, 2 if role == "listed" else 3)  # no --arch that cannot be used
    assert role == "forward" or type(hostile_code.ERRORS[name]()).__name__ in said
    assert (
        "--metric" if role == "metric" else str(files.healthy) if role in ("forward", "eval", "state") else str(CODE)
    ) in said
    assert not Path("never.json").exists()


def test_what_it_sets_of_the_process_is_put_back(files: Files) -> None:
    def state() -> tuple[Any, ...]:
        drawn = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
        settings = (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled())
        others = (torch.is_anomaly_enabled(), torch.is_autocast_enabled("cpu"), torch.get_float32_matmul_precision())
        python = (list(warnings.filters), dict(os.environ), list(sys.path), sys.getrecursionlimit(), sys.stderr)
        handlers = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
        process = (decimal.getcontext().prec, locale.setlocale(locale.LC_ALL), os.getcwd(), *handlers)
        modes = (torch.get_deterministic_debug_mode(), np.geterr(), torch.backends.cudnn.deterministic)
        return (*drawn, *settings, *modes, *others, *python, *process)

    def numbers(arch: str, data: object) -> Any:
        report = call("inspect", files.healthy, "--arch", arch, "--data", data, "--report", "json=-").json
        return report["summary"], report["effect"]

    expected, before = numbers(users_code("Net"), files.data), state()
    assert numbers(named("Zeroing"), files.data) == expected
    assert state() == before
    call("inspect", files.healthy, *NET, "--data", named("setting_batches"))
    assert state() == before


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "--arch", named("Moving"), "--data", "DATA"),
        ("inspect", *NET, "--data", named("moving_batches")),
        ("inspect", *NET, "--data", "DATA", "--metric", named("moving_metric")),
        ("repair", "--arch", named("Moving"), "--data", "DATA", "--out", "repaired.pt", "--force"),
    ],
    ids=["forward", "loader", "metric", "repair"],
)
def test_a_working_folder_that_it_changes_is_its_own(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    (tmp_path / "healthy.pt").write_bytes(Path(files.healthy).read_bytes())
    (tmp_path / "labelled.npz").write_bytes(Path(files.labelled).read_bytes())
    monkeypatch.chdir(tmp_path)
    arguments = ["labelled.npz" if each == "DATA" else each for each in command[1:]]
    written = ["report.json", *(["repaired.pt"] if command[0] == "repair" else ["known.json"])]
    baseline = () if command[0] == "repair" else ("--write-baseline", "known.json")
    done = call(command[0], "healthy.pt", *arguments, "--report", "report.json", *baseline)
    assert done.code == 0, done.stderr
    assert all((tmp_path / name).is_file() for name in written)
    assert Path.cwd() == tmp_path
    moved = [path.name for path in (tmp_path / hostile_code.ELSEWHERE).rglob("*")]
    assert moved == (["state"] if named("Moving") in command else [])
    if moved:
        assert (tmp_path / hostile_code.ELSEWHERE / "state").read_text().startswith("built..")


@pytest.mark.parametrize(
    ("arch", "code", "message"),
    [
        ("EvalGivesNothing", 0, ""),
        ("SparseScores", 0, ""),
        ("StateOfNothing", 3, "state_dict() of a StateOfNothing gives no values by name."),
        ("WithinItself", 3, "RecursionError"),
    ],
)
def test_a_network_of_odd_methods(files: Files, arch: str, code: int, message: str) -> None:
    done = call("inspect", files.healthy, "--arch", named(arch), "--data", files.data, "--quiet")
    assert done.code == code
    assert message in done.stderr
    assert code == 0 or bounded(done, code)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("nan_metric", "--metric: over 200 samples it is nan, which is no score."),
        ("text_metric", "--metric: ValueError: could not convert string to float: 'good'"),
    ],
)
def test_a_metric_that_is_no_number(files: Files, metric: str, message: str) -> None:
    command = ("inspect", files.healthy, *NET, "--data", files.labelled, "--metric", named(metric))
    assert message in bounded(call(*command), 3)


def test_a_metric_is_given_copies(files: Files) -> None:
    command = ("inspect", files.healthy, *NET, "--data", files.labelled, "--report", "json=-")
    plain, by_metric = call(*command).json, call(*command, "--metric", named("zeroing_metric")).json
    assert by_metric["effect"]["accuracy"] == pytest.approx(plain["effect"]["accuracy"])
    assert by_metric["effect"]["predictions_changed"] == plain["effect"]["predictions_changed"]


def test_an_endless_loader_is_read_up_to_the_limit(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bncheck.data.mixing, "READ_AT_MOST", 500)
    endless = named("endless_batches")
    command = ("inspect", files.healthy, *NET, "--data", endless, "--train-data", endless, "--limit", "100")
    assert call(*command, "--quiet").code in (0, 1, 4)
    empty = call("inspect", files.healthy, *NET, "--data", named("endless_empty_batches"))
    assert "gave 1000 batches without a sample, one after the other" in bounded(empty, 3)


def test_what_is_imported_leaves_no_bytecode_beside_the_users_files(
    files: Files, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    Path("own_neighbour.py").write_text("SAMPLES = 8\n")
    Path("own_loader.py").write_text(
        "import torch, own_neighbour\n\ndef batches():\n    return [torch.rand(own_neighbour.SAMPLES, 1, 8, 8)]\n"
    )
    call("inspect", files.healthy, "--arch", users_code("Net"), "--data", "own_loader.py:batches", "--quiet")
    assert sorted(os.listdir()) == ["own_loader.py", "own_neighbour.py"]
    assert not sys.dont_write_bytecode
