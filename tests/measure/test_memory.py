"""Batches that take more memory than there is: smaller ones are tried, or one message says which."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import bncheck
from bncheck.cli import memory
from bncheck.cli.app import app
from bncheck.errors import MemoryLimitError, UsageError, is_out_of_memory


class Hungry(nn.Module):
    """Fails as PyTorch does where a batch has more than `most` samples."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.most = most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        given: torch.Tensor = self.norm(x)
        return given


DATA = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("most", "note"),
    [(100, None), (50, "of 50 samples together"), (20, "of 16 samples together"), (10, "no batch pass")],
)
def test_the_batch_pass_makes_do_with_what_fits(most: int, note: str | None) -> None:
    report = bncheck.inspect(Hungry(most), DATA, batch_size=8, batch_sizes=(4,))
    notes = [said for said in report.run.notes if "memory" in str(said)]
    assert report.layers[0].gap is not None
    assert (report.layers[0].own_gap is None) == (note == "no batch pass")
    assert not notes if note is None else note in str(notes[0])


def test_a_batch_that_cannot_be_run_says_which_to_try() -> None:
    with pytest.raises(MemoryLimitError, match=r"a batch of 25\. Try batch_size 12"):
        bncheck.inspect(Hungry(20), DATA, batch_size=32)
    with pytest.raises(MemoryLimitError, match="smaller inputs"):
        bncheck.inspect(Hungry(0), DATA, batch_size=1)


def test_the_command_line_ends_in_one_message(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", DATA)
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.norm = torch.nn.BatchNorm1d(3)\n"
        "    def forward(self, x):\n"
        "        return self.norm(x) + torch.ones(3, 10**10).mean(1)\n"
    )
    torch.save({f"norm.{name}": value for name, value in nn.BatchNorm1d(3).state_dict().items()}, tmp_path / "m.pth")
    arguments = ["inspect", str(tmp_path / "m.pth"), "--arch", f"{tmp_path / 'net.py'}:Net", "--no-config"]
    done = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path / "x.npy"), "--max-memory", "8G"])
    line = done.stderr.strip().splitlines()[-1]
    assert done.exit_code == 3
    assert re.search(r"Try --batch-size \d+\. Or allow more with --max-memory \(8 GiB", line)


def test_the_limit_holds_within_the_block_alone() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.limited(2**30):
        if resource.getrlimit(resource.RLIMIT_DATA) == before:
            pytest.skip("this system has no such limit")
        with pytest.raises(RuntimeError) as caught:
            torch.empty(2**40)
    assert is_out_of_memory(caught.value)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), None),
        (("--max-memory", "8G"), "this system does not tell how much memory a process uses"),
        (("--max-memory", "8G", "--device", "cuda"), "the memory of --device cuda is its own"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_said(
    given: tuple[str, ...], said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({f"norm.{name}": value for name, value in nn.BatchNorm1d(3).state_dict().items()}, tmp_path / "m.pth")
    monkeypatch.setattr(memory, "_used", lambda: None)  # as on macOS
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "m.pth"), *given, "--no-config"])
    assert done.stderr.count("is not kept") == (said is not None)
    assert said is None or f"--max-memory 8G is not kept: {said}" in done.stderr


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 2**32), ("1.5GiB", 3 * 2**29), ("800M", 800 * 2**20), ("65536", 2**16), ("2 tb", 2**41)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert memory.read_memory(text) == size


@pytest.mark.parametrize("text", ["", "0", "-4G", "G", "4 giraffes", "nan", "9" * 5000])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a size"):
        memory.read_memory(text)


def test_by_default_it_is_a_share_of_the_machine() -> None:
    machine = memory.memory_of_machine()
    assert memory.allowed(None) == (None if machine is None else int(0.75 * machine))
