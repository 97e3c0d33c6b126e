"""Two processes: synchronized layers see the whole batch; plain ones work under DistributedDataParallel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import renorm_processes
import torch

from bncheck import BatchRenorm1d, BatchRenorm2d


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("processes")
    command = [sys.executable, renorm_processes.__file__]
    started = [
        subprocess.Popen([*command, str(rank), str(where)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
    return where


@pytest.mark.slow
def test_synchronized_layers_normalize_by_the_whole_batch(folder):
    layer = BatchRenorm2d(3, schedule=renorm_processes.OPENING, dtype=torch.float64)
    for step in range(3):
        x = renorm_processes.batch(step).requires_grad_()
        y = layer(x)
        y.square().sum().backward()
    for rank in range(2):
        got = torch.load(folder / f"sync{rank}.pt")
        torch.testing.assert_close(got["y"], y[rank::2], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(got["grad"], x.grad[rank::2], rtol=1e-8, atol=1e-10)
        for name, tensor in layer.state_dict().items():
            torch.testing.assert_close(got["state"][name], tensor, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_synchronized_parts_may_be_a_single_row_or_empty(folder):
    layer = BatchRenorm1d(3, schedule=renorm_processes.OPENING, dtype=torch.float64)
    whole = [layer(torch.cat([renorm_processes.part(step, rank) for rank in range(2)])) for step in range(2)]
    got = [torch.load(folder / f"uneven{rank}.pt") for rank in range(2)]
    for step in range(2):
        outputs = torch.cat([one["outputs"][step] for one in got])
        torch.testing.assert_close(outputs, whole[step], rtol=1e-10, atol=1e-12)
    for one in got:
        for name, tensor in layer.state_dict().items():
            torch.testing.assert_close(one["state"][name], tensor, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_data_parallel_evaluation_uses_the_averages_of_the_first_process(folder):
    layer = BatchRenorm2d(3, schedule=renorm_processes.OPENING, dtype=torch.float64)
    for step in range(3):
        layer(renorm_processes.batch(step)[0::2])
    for rank in range(2):
        state = torch.load(folder / f"ddp{rank}.pt")["state"]
        for name in ("running_mean", "running_std", "schedule_step"):
            torch.testing.assert_close(state[f"0.{name}"], layer.state_dict()[name], rtol=1e-10, atol=1e-12)
