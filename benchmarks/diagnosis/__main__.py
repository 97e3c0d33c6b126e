"""Train healthy nets, inspect them in many ways, plant faults, and print what was found: a confusion table.

`python -m benchmarks.diagnosis [--fashion FOLDER] [--seeds N] [--out FILE]`
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.data import Task, digits, fashion, tinted_digits
from benchmarks.diagnosis.faults import PLANS, Planted
from benchmarks.diagnosis.nets import NETS, norms, trained

SIZES = (100, 300, 597, 2000, 10000)
BATCHES = (1, 64, 512)
HARM = 0.02
"""Accuracy lost from which a fault has to be found."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One planted fault and what was said of it."""

    fault: str
    strength: str
    net: str
    lost: float
    found: bool
    right_layer: bool
    false_codes: tuple[str, ...]


def accuracy(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return float((net(x).argmax(1) == y).float().mean())


def grave(report: bncheck.Report) -> list[str]:
    """Codes of the warnings and errors."""
    return [finding.code for finding in report.findings if finding.severity != "info"]


def healthy(net: nn.Module, task: Task) -> Iterator[tuple[str, list[str]]]:
    """Ways of inspecting a healthy net, and the false alarms of each."""
    for size in SIZES:
        if size > len(task.y_held):
            continue
        x, y = task.x_held[:size], task.y_held[:size]
        order = y.argsort()
        for batch in BATCHES:
            if batch == 1 and size > 300:
                continue
            yield f"{size}, batches of {batch}", grave(bncheck.inspect(net, (x, y), batch_size=batch))
        yield f"{size}, sorted", grave(bncheck.inspect(net, (x[order], y[order])))
        yield f"{size}, no labels", grave(bncheck.inspect(net, x))


def name_of(net: nn.Module, wanted: nn.Module) -> str:
    return next(name for name, module in net.named_modules() if module is wanted)


def tried(planted: Planted, name: str, before: float) -> Trial:
    report = bncheck.inspect(planted.net, (planted.x, planted.y), **planted.options)
    codes = [finding.code for finding in report.findings]
    right = [finding for finding in report.findings if finding.code in planted.codes]
    layer = next(
        (
            n
            for n, m in planted.net.named_modules()
            if planted.layer is not None and m is norms(planted.net)[planted.layer]
        ),
        None,
    )
    named = layer is None or any(layer in finding.layers for finding in right)
    allowed = {*planted.codes, *planted.tolerated}
    return Trial(
        planted.fault,
        planted.strength,
        name,
        before - accuracy(planted.net, planted.x, planted.y),
        any(code in planted.codes for code in codes),
        named,
        tuple(code for code in grave(report) if code not in allowed),
    )


def table(trials: list[Trial]) -> Iterator[str]:
    yield "| fault | strength | nets | lose 2 points | of these found | right layer | found below | false codes |"
    yield "|---|---|---|---|---|---|---|---|"
    groups: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.fault, trial.strength].append(trial)
    for (fault, strength), members in groups.items():
        harmed = [trial for trial in members if trial.lost >= HARM]
        mild = [trial for trial in members if trial.lost < HARM]
        found = sum(trial.found for trial in harmed)
        right = sum(trial.found and trial.right_layer for trial in harmed)
        false = " ".join(sorted({code for trial in members for code in trial.false_codes})) or "-"
        below = f"{sum(trial.found for trial in mild)} of {len(mild)}"
        yield f"| {fault} | {strength} | {len(members)} | {len(harmed)} | {found} | {right} | {below} | {false} |"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST as .npz")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(2)
    tasks = [digits(), tinted_digits(), *([fashion(given.fashion)] if given.fashion else [])]
    alarms: list[str] = []
    inspections = 0
    trials: list[Trial] = []
    for task in tasks:
        for kind in NETS:
            for seed in range(given.seeds):
                net = trained(kind, task, seed)
                name = f"{task.name} {kind} {seed}"
                before = accuracy(net, task.x_held, task.y_held)
                for way, codes in healthy(net, task):
                    inspections += 1
                    alarms += [f"{name} ({before:.1%}), {way}: {code}" for code in codes]
                for plan in PLANS:
                    trials.extend(tried(planted, name, before) for planted in plan(net, task))
                print(f"{name}: {before:.1%}", file=sys.stderr, flush=True)
    lines = [f"{inspections} inspections of healthy nets, {len(alarms)} false alarms.", "", *alarms, "", *table(trials)]
    missed = [trial for trial in trials if trial.lost >= HARM and not trial.found]
    lines += ["", "Missed:", *(f"- {t.fault}, {t.strength}, {t.net}, {t.lost:.1%} lost" for t in missed)]
    text = "\n".join(lines) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
