"""What `bncheck repair --data-free` is worth: `python -m benchmarks.data_free [--seed S] [--steps N] [--out FILE]`.

Networks are trained on digits, the statistics of all or of every third layer are lost, and each file is repaired
without data, and on training data; accuracies are of held-out samples.
"""

from __future__ import annotations

import argparse
import copy
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.data import Task, task_named
from benchmarks.diagnosis.static.nets import RECIPES, trained
from benchmarks.diagnosis.static.page import put
from bncheck.data import DataOptions

NETS = (("digits", "plain, ReLU"), ("tinted", "plain, ReLU"), ("tinted", "ResNet"), ("tinted", "MobileNetV2"))
LINES = ("<!-- data-free -->", "<!-- /data-free -->")
Norm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True, slots=True)
class Row:
    """Accuracies of one network with some of its statistics lost.

    Attributes:
        net: which.
        lost: which layers' statistics.
        shipped, broken: as it was trained, and with these lost.
        data_free, recalibrated: repaired without data, and on training data.
    """

    net: str
    lost: str
    shipped: float
    broken: float
    data_free: float
    recalibrated: float


def accuracy(net: nn.Module, task: Task) -> float:
    """Fraction right of the held-out samples, in eval mode."""
    with torch.no_grad():
        return float((net.eval()(task.x_held).argmax(1) == task.y_held).float().mean())


def without(net: nn.Module, every: int) -> nn.Module:
    """The network with initial statistics in every layer of that period; the first keeps its own unless it is 1."""
    broken = copy.deepcopy(net)
    norms = [module for module in broken.modules() if isinstance(module, Norm)]
    for norm in norms[every - 1 :: every]:
        norm.reset_running_stats()
    return broken


def repaired(broken: nn.Module, folder: Path, task: Task | None, size: tuple[int, int]) -> nn.Module:
    """What the repair writes, without data where no task is given."""
    path, out = folder / "broken.pt", folder / "repaired.pt"
    torch.save(broken.state_dict(), path)

    def build() -> nn.Module:
        return copy.deepcopy(broken)

    if task is None:
        # Pixels in 0..1, as they were fed: what a user knows, since a lost first layer does not tell it.
        how = DataOptions(resize=size, mean=(0.0,), std=(1.0,))
        bncheck.repair_file(path, data_free=True, out=out, arch=build, data_options=how, overwrite=True)
    else:
        bncheck.repair_file(path, task.x, out=out, arch=build, force=True, overwrite=True)
    mended = build()
    mended.load_state_dict(torch.load(out))
    return mended


def rows(seed: int, steps: int, folder: Path) -> Iterator[Row]:
    """Two for every network."""
    for data, name in NETS:
        task = task_named(data, None)
        net, _ = trained(RECIPES[name], task, seed, steps)
        height, width = task.x.shape[2:]
        for lost, every in (("all", 1), ("every third", 3)):
            broken = without(net, every)
            free, right = (repaired(broken, folder, given, (height, width)) for given in (None, task))
            values = [accuracy(one, task) for one in (net, broken, free, right)]
            yield Row(f"{name} ({data})", lost, *values)


def section(seen: Sequence[Row], command: str) -> str:
    """The table, and the command that made it."""
    text = (
        f"`{command}`\n\n| net | statistics lost | as shipped | broken | `--data-free` | recalibrated on training data "
        "|\n"
        "|---|---|---|---|---|---|\n"
    )
    for row in seen:
        numbers = " | ".join(f"{one:.1%}" for one in (row.shipped, row.broken, row.data_free, row.recalibrated))
        text += f"| {row.net} | {row.lost} | {numbers} |\n"
    return text


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--out", type=Path, help="page whose table is written anew")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    command = f"python -m benchmarks.data_free {shlex.join(arguments)}".strip()
    with tempfile.TemporaryDirectory() as folder:
        seen = []
        for row in rows(given.seed, given.steps, Path(folder)):
            seen.append(row)
            print(row, file=sys.stderr, flush=True)
    if given.out:
        put(given.out, section(seen, command), LINES)
    print(section(seen, command))


if __name__ == "__main__":
    main(sys.argv[1:])
