"""Averaged weights beside the raw model: what their statistics cost, and what is told of them without data.

`python -m benchmarks.diagnosis.static.copies [--seed S] [--steps N] [--only NET] [--out FILE]`

Averages of two memories are taken in the middle of a training, at a high rate, and at its end. Their statistics are the
raw model's (averagers of parameters alone), those of the moment when the average began (the same, forgotten), averaged
along with the weights, or measured.
"""

from __future__ import annotations

import argparse
import copy
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.data import Task, task_named
from benchmarks.diagnosis.sections import COPIES, put
from benchmarks.diagnosis.static.nets import RECIPES, Recipe
from bncheck.formats import open_model
from bncheck.measure import static_evidence
from bncheck.rules import judge
from bncheck.weights import copies_of

KEPT = (0.97, 0.99)
"""Shares of the average that a step keeps."""
WAYS = {
    "raw": "the raw model's",
    "earlier": "of the moment when the average began",
    "averaged": "averaged along with the weights",
    "measured": "measured under the averaged weights",
}
FAULTS = ("raw", "earlier")
MATTERS = 0.02
"""Accuracy that statistics must cost to count."""

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Told:
    """One file of two copies.

    Attributes:
        net: which.
        way: whose the averaged copy's statistics are.
        when: how long the average remembers, and when it was taken.
        cost: accuracy that measured statistics would win.
        severity: of what BN401 says; empty where it says nothing.
        by_weights: whether it is said by what the weights predict.
    """

    net: str
    way: str
    when: str
    cost: float
    severity: str
    by_weights: bool


@dataclass(slots=True)
class _Average:
    """Averaged weights, the buffers of the moment when it began, and those averaged along."""

    net: nn.Module
    began: State
    along: State

    def step(self, net: nn.Module, kept: float) -> None:
        """Take in the weights and the buffers of one more step."""
        with torch.no_grad():
            for mine, new in zip(self.net.parameters(), net.parameters(), strict=True):
                mine.lerp_(new, 1 - kept)
            for name, new in net.named_buffers():
                if new.is_floating_point():
                    self.along[name].lerp_(new, 1 - kept)
                else:
                    self.along[name] = new.clone()

    def under(self, buffers: State) -> nn.Module:
        """The averaged weights with these buffers."""
        with_them = copy.deepcopy(self.net).eval()
        for name, held in with_them.named_buffers():
            held.copy_(buffers[name])
        return with_them


def _buffers(net: nn.Module) -> State:
    return {name: value.clone() for name, value in net.named_buffers()}


def accuracy(net: nn.Module, task: Task) -> float:
    """Fraction right of the held-out samples."""
    with torch.no_grad():
        return float((net.eval()(task.x_held).argmax(1) == task.y_held).float().mean())


def snapshots(recipe: Recipe, task: Task, seed: int, steps: int) -> Iterator[tuple[str, nn.Module, _Average]]:
    """The raw model and each average, in the middle and at the end."""
    torch.manual_seed(seed)
    net = recipe.build(task.channels)
    net(task.x[:2])
    how = {"batch": 64, "rate": 0.1, "decay": 5e-4, "schedule": True, "adam": False} | dict(recipe.training)
    by_sgd = torch.optim.SGD(net.parameters(), how["rate"], momentum=0.9, weight_decay=how["decay"])
    by_adam = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=how["decay"])
    optimizer = by_adam if how["adam"] else by_sgd
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if how["schedule"] else None
    generator, averages = torch.Generator().manual_seed(seed), {}
    for step in range(1, steps + 1):
        net.train()
        chosen = torch.randint(len(task.y), (how["batch"],), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(task.x[chosen]), task.y[chosen]).backward()
        optimizer.step()
        if rates is not None:
            rates.step()
        if step == steps // 5:
            averages = {kept: _Average(copy.deepcopy(net), _buffers(net), _buffers(net)) for kept in KEPT}
        for kept, average in averages.items():
            average.step(net, kept)
        if step in (steps // 2, steps):
            when = "at the end" if step == steps else "in the middle"
            for kept, average in averages.items():
                yield f"{1 / (1 - kept):.0f} steps, {when}", copy.deepcopy(net).eval(), average


def told_of(name: str, recipe: Recipe, task: Task, seed: int, steps: int, folder: Path) -> Iterator[Told]:
    """Every file that a training leaves."""
    path = folder / "last.pt"
    for when, raw, average in snapshots(recipe, task, seed, steps):
        right = bncheck.recalibrate(average.under(_buffers(raw)), task.x)
        best = accuracy(right, task)
        nets = {"raw": _buffers(raw), "earlier": average.began, "averaged": average.along, "measured": _buffers(right)}
        for way, buffers in nets.items():
            averaged = average.under(buffers)
            torch.save({"model": raw.state_dict(), "ema": averaged.state_dict()}, path)
            model = open_model(path, key="ema")
            found = judge(replace(static_evidence(model), copies=copies_of(model)), {"BN401"})
            severity = found[0].severity if found else ""
            cost = best - accuracy(averaged, task)
            yield Told(name, way, when, cost, severity, any("are close" not in one.message for one in found))


def section(seen: Sequence[Told], command: str) -> str:
    """The table, the misses, and the command that made them."""
    nets = len({told.net for told in seen})
    text = (
        "## Averaged weights, without data\n\n"
        f"{len(seen)} files of {nets} networks, each with the raw model and an average of its weights, audited without "
        f"data. A fault counts where it costs {MATTERS:.0%} of accuracy.\n\n```console\n$ {command}\n```\n\n"
        "| statistics of the average | memory, moment | files | count | warned | told by the weights | "
        "warned where harmless |\n|---|---|---:|---:|---:|---:|---:|\n"
    )
    whens = dict.fromkeys(told.when for told in seen)
    for way, words in WAYS.items():
        for when in whens:
            rows = [told for told in seen if (told.way, told.when) == (way, when)]
            grave = [told for told in rows if told.cost >= MATTERS] if way in FAULTS else []
            mild = [told for told in rows if told not in grave]
            warned, told = (
                f"{sum(map(test, grave))}" if way in FAULTS else "" for test in (_warns, lambda one: one.by_weights)
            )
            harmless = f"{sum(map(_warns, mild))} of {len(mild)}" if mild else ""
            count = len(grave) if way in FAULTS else ""
            text += f"| {words} | {when} | {len(rows)} | {count} | {warned} | {told} | {harmless} |\n"
    missed = [one for one in seen if one.way in FAULTS and one.cost >= MATTERS and not one.by_weights]
    text += f"\nNot told by the weights: {len(missed)}.\n\n"
    for one in missed:
        text += f"- {one.net}: statistics {WAYS[one.way]}, {one.when}; {one.cost:.1%} of accuracy\n"
    return text


def _warns(told: Told) -> bool:
    return told.severity not in ("", "info")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--only", action="append", choices=sorted(RECIPES), help="a net; repeatable")
    parser.add_argument("--out", type=Path, help="page whose part is written anew")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    command = f"python -m benchmarks.diagnosis.static.copies {shlex.join(arguments)}".strip()
    task, seen = task_named("tinted", None), []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only or RECIPES:
            seen += told_of(name, RECIPES[name], task, given.seed, given.steps, Path(folder))
            print(f"{name}: {len(seen)} files", file=sys.stderr, flush=True)
            if given.out:
                put(given.out, COPIES, section(seen, command))
    print(section(seen, command))


if __name__ == "__main__":
    main(sys.argv[1:])
