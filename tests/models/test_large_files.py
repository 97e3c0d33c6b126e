"""Files of gigabytes: their tensors stay where they are until they are looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import bncheck
from bncheck.files import load_tensors, pickles

AUDITED = """
import re
import sys
from pathlib import Path

import bncheck

bncheck.inspect(sys.argv[1])


def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024


before = peak()
assert bncheck.inspect(sys.argv[2]).layers[0].name == "1"
print(peak() - before)
"""
mapped_alone = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system tells of no mapped files")


def state(values: int) -> dict[str, torch.Tensor]:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    return net.state_dict() | {"1.num_batches_tracked": torch.tensor(1000), "fc.weight": torch.ones(values)}


def is_mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text("utf-8")


@mapped_alone
@pytest.mark.slow
def test_an_audit_reads_what_it_looks_at(tmp_path: Path) -> None:
    torch.save(state(1), tmp_path / "small.pt")
    torch.save(state(75 * 2**20), tmp_path / "large.pt")  # 300 MiB
    (tmp_path / "run.py").write_text(AUDITED)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "small.pt"), str(tmp_path / "large.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50


@mapped_alone
def test_archives_are_mapped_from_a_size_on_and_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = tmp_path / "checkpoint.pt", tmp_path / "old.pt"
    torch.save(state(1000), path)
    torch.save(state(1000), old, _use_new_zipfile_serialization=False)
    for size, file, mapped, expected in (
        (path.stat().st_size, path, True, True),
        (path.stat().st_size, path, False, False),
        (path.stat().st_size + 1, path, True, False),
        (1, old, True, False),
    ):
        monkeypatch.setattr(pickles, "MAPPED", size)
        with file.open("rb") as opened:
            held = load_tensors(opened, mapped=mapped)
        assert is_mapped(file) == expected
        assert torch.equal(held["fc.weight"], torch.ones(1000))
        del held


@mapped_alone
def test_a_mapped_file_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAPPED", 1)
    path = tmp_path / "checkpoint.pt"
    torch.save(state(10), path)
    before = path.read_bytes()
    with path.open("rb") as file:
        held = load_tensors(file, mapped=True)
    held["1.running_mean"].fill_(7.0)
    del held
    assert path.read_bytes() == before


def test_a_mapped_checkpoint_gives_the_report_of_one_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": state(10), "epoch": 3}, path)
    read = bncheck.inspect(path)
    monkeypatch.setattr(pickles, "MAPPED", 1)
    assert bncheck.inspect(path).to_dict() == read.to_dict()
