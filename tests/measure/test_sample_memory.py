"""What samples take beside the model's own forwards, however many there are."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from bncheck.data import DataOptions, Heap, open_data, places
from bncheck.errors import UsageError
from bncheck.settings import SAMPLE_MEMORY, SampleMemory

STREAMED = """
import re
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import bncheck

path, samples, mebibytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
SIDE, BATCH = 32, 50
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)).eval()


def stream():
    with path.open("rb") as file:
        for number in range(samples // BATCH):
            read = file.read(BATCH * 3 * SIDE * SIDE)
            if not read:
                file.seek(0)
                read = file.read(BATCH * 3 * SIDE * SIDE)
            x = np.frombuffer(read, np.uint8).reshape(BATCH, 3, SIDE, SIDE)
            yield torch.from_numpy(x.astype(np.float32)), torch.arange(BATCH) % 10


def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024


with torch.inference_mode():
    for x, _ in stream():
        net(x)
plain = peak()
report = bncheck.inspect(net, stream, data_options=bncheck.data.DataOptions(sample_memory=mebibytes))
print(report.data.samples, peak() - plain)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no process's peak")
@pytest.mark.slow
def test_twenty_thousand_samples_take_no_more_than_the_budget(tmp_path: Path) -> None:
    """Of 12 KiB each, 235 MiB in all: the peak beside plain forwards is the budget, and 50 MiB for everything else."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (200, 3 * 32 * 32), generator=generator, dtype=torch.uint8)
    (tmp_path / "pixels").write_bytes(pixels.numpy().tobytes())
    (tmp_path / "run.py").write_text(textwrap.dedent(STREAMED))
    budget = 64
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "pixels"), "20000", str(budget)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    samples, above = map(int, done.stdout.split())
    assert samples == 20_000
    assert above <= budget + 50


def test_the_shares_are_no_more_than_the_whole() -> None:
    memory = SampleMemory()
    assert memory.mebibytes == SAMPLE_MEMORY == 256
    shares = (memory.shuffled, memory.halves, memory.kept, memory.grouped, memory.moments)
    assert sum(shares) <= SAMPLE_MEMORY * 2**20
    assert [share / 2 for share in shares] == [
        getattr(SampleMemory(128), name) for name in ("shuffled", "halves", "kept", "grouped", "moments")
    ]
    assert min(SampleMemory(1).shuffled, SampleMemory(1).moments) > 0


@pytest.mark.parametrize("given", [0, -1, 1.5, "256M"])
def test_a_budget_is_a_number_of_mebibytes(given: object) -> None:
    with pytest.raises(UsageError, match="sample_memory"):
        DataOptions(sample_memory=given)  # type: ignore[arg-type]  # as a user might


def test_a_small_budget_gives_every_sample_all_the_same() -> None:
    batches = [torch.full((7, 1000), float(number)) for number in range(200)]
    read = list(open_data(lambda: iter(batches), DataOptions(sample_memory=1)).batches(16))
    assert sum(batch.size for batch in read) == 1400
    assert torch.cat([batch.inputs[:, 0] for batch in read]).sort().values.tolist() == sorted([*range(200)] * 7)


def test_memory_is_given_back_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(places, "_trim", lambda: given.append)
    held = Heap(1000)
    for _ in range(5):
        held.passed(500)
    assert given == [0, 0]
    monkeypatch.setattr(places, "_trim", lambda: None)  # as where the C library cannot
    places.give_back()
