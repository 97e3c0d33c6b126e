"""One trained net: inspected healthy in many ways, and with every fault planted into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.data import Task, task_named
from benchmarks.diagnosis.faults import PLANS
from benchmarks.diagnosis.nets import norms, trained
from benchmarks.diagnosis.planted import Planted

SIZES = (100, 300, 597, 2000, 10000)
BATCHES = (1, 64, 512)
FEW, MANY = 300, 2000
"""Up to the first, batches of one sample are tried too; beyond the second, batches of 512 alone and sorted samples."""


@dataclass(frozen=True, slots=True)
class Job:
    """A net to train, and where the data are."""

    task: str
    kind: str
    seed: int
    fashion: Path | None


@dataclass(frozen=True, slots=True)
class Case:
    """One planted fault and what was said of it.

    Attributes:
        fault, strength: what was planted.
        wanted: the codes that name it rightly.
        net: which net.
        lost: accuracy that the fault costs; where it is one of the data, that other statistics would win.
        certain: it has to be found whatever it costs (a setting, a value that cannot be).
        found: one of the codes was given.
        right_layer: and the layer named, where there is one to name.
        others: codes of the warnings and errors that are neither wanted nor tolerated.
    """

    fault: str
    strength: str
    wanted: tuple[str, ...]
    net: str
    lost: float
    certain: bool
    found: bool
    right_layer: bool
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one net.

    Attributes:
        net: which.
        accuracy: on held-out samples, as trained.
        recalibrated: the same by statistics of its training data.
        inspections: of the net as it is.
        alarms: what was said in them.
        cases: the faults planted.
    """

    net: str
    accuracy: float
    recalibrated: float
    inspections: int
    alarms: tuple[str, ...]
    cases: tuple[Case, ...]


def examine(job: Job) -> Result:
    """Train the net, inspect it as it is, then with each fault."""
    torch.set_num_threads(1)
    task = task_named(job.task, job.fashion)
    net = trained(job.kind, task, job.seed)
    name = f"{job.task} {job.kind} {job.seed}"
    before = accuracy(net, task.x_held, task.y_held)
    ways = list(_healthy(net, task))
    alarms = tuple(f"{name}, {way}: {code}" for way, codes in ways for code in codes)
    cases = tuple(_tried(planted, name, before) for plan in PLANS for planted in plan(net, task))
    recalibrated = accuracy(bncheck.recalibrate(net, task.x), task.x_held, task.y_held)
    return Result(name, before, recalibrated, len(ways), alarms, cases)


def accuracy(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Fraction right, in eval mode."""
    with torch.no_grad():
        right = sum(
            int((net(some).argmax(1) == own).sum()) for some, own in zip(x.split(1000), y.split(1000), strict=True)
        )
    return right / len(y)


def _grave(report: bncheck.Report) -> list[str]:
    return [finding.code for finding in report.findings if finding.severity != "info"]


def _healthy(net: nn.Module, task: Task) -> Iterator[tuple[str, list[str]]]:
    """Ways of inspecting a healthy net, and the false alarms of each."""
    for size in SIZES:
        if size > len(task.y_held):
            continue
        x, y = task.x_held[:size], task.y_held[:size]
        order = y.argsort()
        for batch in BATCHES:
            if (batch == 1 and size > FEW) or (batch == 64 and size > MANY):
                continue
            yield f"{size} samples, batches of {batch}", _grave(bncheck.inspect(net, (x, y), batch_size=batch))
        yield f"{size} samples, sorted by class", _grave(bncheck.inspect(net, (x[order], y[order])))
        if size <= MANY:
            yield f"{size} samples, no labels", _grave(bncheck.inspect(net, x))


def _tried(planted: Planted, name: str, before: float) -> Case:
    data = (planted.x, planted.y) if planted.labelled else planted.x
    report = bncheck.inspect(planted.model or planted.net, data, **planted.options)
    right = [finding for finding in report.findings if finding.code in planted.codes]
    allowed = {*planted.codes, *planted.tolerated}
    return Case(
        fault=planted.fault,
        strength=planted.strength,
        wanted=planted.codes,
        net=name,
        lost=_winnable(planted) if planted.by_statistics else before - accuracy(planted.net, planted.x, planted.y),
        certain=planted.certain,
        found=bool(right),
        right_layer=_named(planted, right),
        others=tuple(code for code in _grave(report) if code not in allowed),
    )


def _winnable(planted: Planted) -> float:
    """Accuracy on one half of the samples that statistics measured on the other half would win."""
    middle = len(planted.y) // 2
    x, y = planted.x[middle:], planted.y[middle:]
    return accuracy(bncheck.recalibrate(planted.net, planted.x[:middle]), x, y) - accuracy(planted.net, x, y)


def _named(planted: Planted, right: list[bncheck.Finding]) -> bool:
    """Whether the layer that has the fault is named, and no more than one layer where it is one layer's fault."""
    if planted.layer is None:
        return True
    wanted = norms(planted.net)[planted.layer]
    name = next(name for name, module in planted.net.named_modules() if module is wanted)
    return any(name in finding.layers for finding in right)
