"""E2: a network trained on batches that are no random sample leans on its company; what mends it?"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.experiments.outcome import Outcome, by_series
from benchmarks.experiments.training import (
    ROOT,
    Drawn,
    Task,
    accuracy,
    accuracy_on_batches,
    digits,
    fashion,
    from_scratch,
    recalibrated,
    tuned,
)
from benchmarks.nets import small_net
from bncheck.repair.finetune_options import FineTuneOptions


def on_digits(seeds: int) -> Iterator[Outcome]:
    """Batches of 16 digits of one class; 840 steps from scratch, 1,500 of fine-tuning on the same batches."""
    build = runpy.run_path(str(ROOT / "sample_models" / "digits_net.py"))["build"]
    train, test = digits()
    task = Task(train, test, build, rate=0.005, steps=840)
    yield _run(task, Drawn(train, 1, 16, 70), range(seeds), "digits, batches of 16 of one class", steps=1500, lr=None)


def on_fashion(seeds: int, folder: Path) -> Iterator[Outcome]:
    """Batches of two classes, 16 images each; 1,800 steps from scratch, 4,000 of fine-tuning on the same batches."""
    train, test = fashion(folder)
    task = Task(train, test, small_net, rate=0.05, steps=1800, decay=5e-4)
    yield _run(task, Drawn(train, 2, 16, 1000), range(seeds), "Fashion-MNIST, 2 classes x 16", steps=4000, lr=0.02)


def _run(task: Task, bad: Drawn, seeds: range, title: str, *, steps: int, lr: float | None) -> Outcome:
    rows = []
    fair = Drawn(task.train, None, 32, bad.batches)
    own_kind = Drawn(task.test, bad.classes, bad.each, 200)
    for seed in seeds:
        net = from_scratch(task, bad, seed)
        renorm = FineTuneOptions(steps=steps, lr=lr, seed=seed)
        plain = replace(renorm, r_max=1.0, d_max=0.0)
        sample = task.train[0][torch.randperm(len(task.train[1]))[:4000]]
        row = {
            "trained on random batches": accuracy(from_scratch(task, fair, seed), task.test),
            "trained on bad batches": accuracy(net, task.test),
            "... by the statistics of its own kind of batch": accuracy_on_batches(net, own_kind),
            "recalibrated": accuracy(recalibrated(net, sample), task.test),
            "BatchNorm, bad batches": accuracy(tuned(task, net, bad, plain), task.test),
            "Batch Renormalization, bad batches": accuracy(tuned(task, net, bad, renorm), task.test),
            "BatchNorm, random batches": accuracy(tuned(task, net, fair, plain), task.test),
        }
        print(f"  seed {seed}: " + ", ".join(f"{name} {value:.1f}" for name, value in row.items()), flush=True)
        rows.append(row)
    return Outcome("E2", title, "% of the test images right", by_series(rows))
