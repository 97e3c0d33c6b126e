"""Processes of one job share an inspection: it comes to what one process comes to, and one of them speaks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
import bncheck.measure.processes.ranks
from bncheck.errors import DataError, UnreadableError, UsageError
from bncheck.measure import ALONE, RankIsDone, ranks_of_job
from bncheck.measure.processes.ranks import JobRanks
from bncheck.measure.processes.step import StoppedByAnotherError
from bncheck.watch import Ledger

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with one wrong layer, traced, and labelled data for it."""
    folder = tmp_path_factory.mktemp("job")
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.Linear(64, 3)),
    )
    x = torch.randn(1400, 1, 8, 8)
    net.train()(x)
    y = net.eval()(x).argmax(1)
    net[4].running_var.mul_(16)
    torch.jit.trace(net, x[:2]).save(str(folder / "net.pt"))
    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())
    np.savez(folder / "bad.npz", x=np.full((60, 1, 8, 8), np.nan, np.float32))
    return folder


def ran(files: Path, processes: int, *options: str) -> subprocess.CompletedProcess[str]:
    """`bncheck inspect` on them; as a job where there are several processes."""
    job = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*(job if processes > 1 else []), "-m", "bncheck", "inspect", "net.pt", *options]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return subprocess.run(
        [sys.executable, *command], cwd=files, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def report(path: Path) -> dict[str, Any]:
    """As saved."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def assert_close(one: Any, other: Any, place: str = "") -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_close(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for at, pair in enumerate(zip(one, other, strict=True)):
            assert_close(*pair, f"{place}/{at}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-10), place
    else:
        assert one == other, place


def test_a_job_reports_what_one_process_does_and_once(files: Path) -> None:
    assert ran(files, 1, "--data", "data.npz", "--report", "alone.json", "--exhaustive").returncode == 1
    kept = ("--write-moments", "job.safetensors")
    done = ran(files, 3, "--data", "data.npz", "--report", "job.json", "--exhaustive", *kept)
    assert done.stdout.count("BN607: ") == 1
    both = [report(path) for path in (files / "job.json", files / "alone.json")]
    for each in both:
        each["run"]["options"] = each["run"]["again"] = None
    assert_close(*both)
    assert_close(
        json.loads(json.dumps(bncheck.merge([files / "job.safetensors"]).to_dict()))["layers"], both[0]["layers"]
    )


def test_in_step_batches_of_all_processes_are_one(files: Path) -> None:
    """Two processes whose half batches have 175 samples: one whose half batches have 350."""
    done = ran(files, 2, "--data", "data.npz", "--report", "sync.json", "--sync")
    assert done.stdout.count("BN607: ") == 1
    alone = bncheck.inspect(files / "net.pt", files / "data.npz", batch_size=512, exhaustive=True).to_dict()
    mine, its = report(files / "sync.json"), json.loads(json.dumps(alone))
    assert [layer["name"] for layer in mine["layers"]] == [layer["name"] for layer in its["layers"]]
    for layer, other in zip(mine["layers"], its["layers"], strict=True):
        for name in ("gap", "own_gap", "noise"):
            assert layer[name] == pytest.approx(other[name], rel=1e-6, abs=1e-6)
    assert mine["effect"]["accuracy"] == its["effect"]["accuracy"]


def test_shards_are_for_processes_that_do_not_meet(files: Path) -> None:
    done = ran(files, 2, "--data", "data.npz", "--shard", "1/2", "--write-moments", "part.safetensors")
    assert done.stderr.count("--shard: the processes of this job share the data by themselves") == 1
    assert not (files / "part.safetensors").exists()


def test_what_fails_ends_the_job_with_one_message(files: Path) -> None:
    done = ran(files, 2, "--data", "bad.npz")
    assert done.returncode != 0
    assert done.stderr.count("NaN or infinity") == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("bncheck: ")]  # the rest is torchrun's own
    assert [line.startswith("bncheck: bad.npz: ") for line in said] == [True]
    assert done.stderr.count("waits for the others") == 1


def test_without_a_job_there_is_nobody_to_share_with() -> None:
    for environment in ({}, {"WORLD_SIZE": "1", "RANK": "0"}, {"WORLD_SIZE": "4"}):
        with ranks_of_job(environment) as ranks:
            assert ranks is ALONE
    assert ALONE.merged(lambda: 3) == ALONE.gathered(lambda: 3, Ledger()) == 3  # type: ignore[type-var]


@pytest.mark.parametrize("world", ["abc", "-2", "0"])
def test_variables_that_tell_of_no_job_are_an_error(world: str) -> None:
    environment = {"RANK": "0", "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        with pytest.raises(UsageError, match=f"WORLD_SIZE={world}.*cannot be joined"), ranks_of_job(environment):
            pass


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_nobody_joins_says_so_and_ends(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bncheck.measure.processes.ranks, "TELL_AFTER", 0.1)
    monkeypatch.setattr(bncheck.measure.processes.ranks, "JOIN_WITHIN", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    with pytest.raises(UsageError, match=f"RANK={rank}.*cannot be joined"), ranks_of_job(environment, said.append):
        pass
    assert said[-1].startswith("Waiting for the other processes of a job, which the environment tells of (MASTER_ADDR")
    assert said[:-1] == (["This is the first of 2 processes of a job; it waits for the others."] if rank == "0" else [])


def test_a_process_that_is_gone_ends_the_others_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1")

    for name in ("all_gather_object", "gather_object"):
        monkeypatch.setattr(f"torch.distributed.{name}", closed)
    for exchange in (lambda: JobRanks(0, 2).agreed(int), lambda: JobRanks(1, 2).merged(int)):  # type: ignore[type-var]
        with pytest.raises(UnreadableError, match=r"Another process of the job has ended.*Connection closed by peer"):
            exchange()


def test_what_a_process_of_a_job_starts_is_none_of_it(files: Path) -> None:
    """A training that looks at its checkpoint by the command, in its first process alone."""
    code = (
        "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-m', 'bncheck', *sys.argv[1:]]).returncode)"
    )
    job = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    command = [sys.executable, "-c", code, "inspect", "net.pt", "--data", "data.npz", "--limit", "60", "--quiet"]
    done = subprocess.run(command, cwd=files, env=os.environ | job, check=False, timeout=120)
    assert done.returncode == 1


def test_a_process_that_dies_ends_the_job_with_one_message(files: Path) -> None:
    """In the middle of a pass, without a word, as where memory runs out; in step the others wait at a layer."""
    (files / "dies.py").write_text(
        "import os, torch\n"
        "def loader(rank: int, world_size: int):\n"
        "    for number in range(4):\n"
        "        if rank == 1 and number == 2:\n"
        "            os._exit(9)\n"
        "        yield torch.randn(600, 1, 8, 8)\n",
        "utf-8",
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    job = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "bncheck", "inspect", "net.pt", "--data", "dies.py:loader", "--sync"]
    started = [
        subprocess.Popen(
            command, cwd=files, env=os.environ | job | {"RANK": rank}, stdout=-1, stderr=-1, text=True, encoding="utf-8"
        )
        for rank in ("0", "1")
    ]
    outputs = [each.communicate(timeout=120) for each in started]
    assert [each.returncode for each in started] == [3, 9]
    said = [line for _, stderr in outputs for line in stderr.splitlines() if line.startswith("bncheck: ")]
    assert [line.startswith("bncheck: Another process of the job has ended") for line in said] == [True]
    assert outputs[0][0] == ""


def test_what_nobody_foresaw_in_one_process_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def all_gather_object(found: list[object], mine: object) -> None:
        told.append(mine)
        found[:] = [None, mine] if len(found) == 2 else [mine]

    monkeypatch.setattr("torch.distributed.all_gather_object", all_gather_object)
    with pytest.raises(UnreadableError, match=r"Process 1 of the job \(from 0\) raised ZeroDivisionError"):
        JobRanks(1, 2).agreed(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):  # the first tells it as one process would
        JobRanks(0, 1).agreed(lambda: 1 // 0)
    assert len(told) == 2


def test_who_was_stopped_by_another_is_not_who_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, cause = StoppedByAnotherError("Process 1 has failed."), DataError("unreadable there")

    def all_gather_object(found: list[object], mine: object) -> None:
        found[:] = [stopped, cause]

    monkeypatch.setattr("torch.distributed.all_gather_object", all_gather_object)

    def fail() -> int:
        raise stopped

    with pytest.raises(DataError, match="unreadable there"):
        JobRanks(0, 2).agreed(fail)


def test_an_error_of_one_process_is_everyones(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = DataError("unreadable there")

    def all_gather_object(found: list[object], mine: object) -> None:
        found[:] = [mine, theirs]

    monkeypatch.setattr("torch.distributed.all_gather_object", all_gather_object)
    with pytest.raises(DataError, match="unreadable there"):
        JobRanks(0, 2).agreed(lambda: 1)


def test_other_processes_end_once_they_have_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.all_gather_object", lambda found, mine: None)
    monkeypatch.setattr("torch.distributed.gather_object", lambda mine, found, dst: None)
    with pytest.raises(RankIsDone):
        JobRanks(1, 2).gathered(lambda: 1, Ledger())  # type: ignore[type-var]
