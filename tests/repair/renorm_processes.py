"""What one of two processes does in the test of distributed training; it writes what it got into a folder."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bncheck.nn.renorm import BatchRenorm2d
from bncheck.nn.schedule import RenormSchedule
from bncheck.nn.synchronized import SyncBatchRenorm

OPENING = RenormSchedule(0, 2, 2)


def batch(step: int) -> torch.Tensor:
    """The whole batch of a step, of which each process takes every second sample."""
    return torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64) * 2 + 1


def part(step: int, rank: int) -> torch.Tensor:
    """Rows (n, 3): the first process has one of four, then none."""
    rows = batch(step)[:4, :, 0, 0]
    return rows.split([1 - step, 3 + step])[rank]


def main(rank: int, folder: Path) -> None:
    """Three steps of the synchronized layer, two of uneven parts, then three of DistributedDataParallel."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    layer = SyncBatchRenorm(3, schedule=OPENING, dtype=torch.float64)
    for step in range(3):
        x = batch(step)[rank::2].clone().requires_grad_()
        y = layer(x)
        y.square().sum().backward()
    torch.save({"y": y.detach(), "grad": x.grad, "state": layer.state_dict()}, folder / f"sync{rank}.pt")

    layer = SyncBatchRenorm(3, schedule=OPENING, dtype=torch.float64)
    outputs = [layer(part(step, rank)) for step in range(2)]
    torch.save({"outputs": outputs, "state": layer.state_dict()}, folder / f"uneven{rank}.pt")

    net = DistributedDataParallel(nn.Sequential(BatchRenorm2d(3, schedule=OPENING, dtype=torch.float64)))
    for step in range(3):
        net(batch(step)[rank::2]).square().mean().backward()
    net.eval()
    net(batch(0))
    torch.save({"state": net.module.state_dict()}, folder / f"ddp{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), Path(sys.argv[2]))
