"""E5: corrupted images at test time: does the gap tell how bad it is, and when do new statistics mend it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import bncheck
from benchmarks.experiments.corruptions import corruptions
from benchmarks.experiments.drawing import COLOURS, figure
from benchmarks.experiments.experiment import Experiment, Seen, share_of
from benchmarks.experiments.training import Drawn, Labelled, Task, digits, fashion, from_scratch
from benchmarks.nets import small_net

IMAGES = 600
"""Test images that are corrupted and inspected, at most."""


def _one(load: Callable[[], tuple[Labelled, Labelled]], steps: int, seed: int, effort: float) -> Seen:
    """Train on clean images, inspect on corrupted ones; accuracies are bncheck's own, the recalibrated cross-fitted."""
    train, (x, y) = load()
    task = Task(train, (x, y), small_net, rate=0.05, steps=share_of(steps, effort))
    net = from_scratch(task, Drawn(train, None, 32, task.steps), seed)
    chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))[: share_of(IMAGES, effort, least=64)]
    x, y = x[chosen], y[chosen]
    known = corruptions(seed)
    tried = dict(islice(known.items(), share_of(len(known), effort, least=2)))
    changes = {"clean": lambda images: images, **tried}
    curves = {name: _inspected(net, change(x), y) for name, change in changes.items()}
    gaps, before, after = np.array([curves[name] for name in changes if name != "clean"]).T
    gain = after - before
    numbers = {
        "rank correlation of gap and error": _spearman(gaps, 100 - before),
        "clean images, % right": curves["clean"][1],
        "corrupted, % right as stored": float(before.mean()),
        "corrupted, % right recalibrated": float(after.mean()),
        "corruptions that recalibration helps by more than 1 %": float((gain > 1).sum()),
        "corruptions that it hurts by more than 1 %": float((gain < -1).sum()),
        "largest gain": float(gain.max()),
        "largest loss": float(-gain.min()),
    }
    return Seen(numbers, curves)


def _inspected(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """The gap of the model, and accuracy by the stored and by recalibrated statistics, in %."""
    report = bncheck.inspect(net, (x, y))
    accuracy = report.effect.accuracy
    return [report.summary.gap, 100 * accuracy.stored, 100 * accuracy.recalibrated]


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the ranks; NaN where nothing varies."""
    from scipy.stats import spearmanr  # takes as long to load as all else here

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)


def _draw(title: str, seen: Sequence[Seen]) -> Figure:
    """Left the error over the gap, every seed; right what recalibration changes, means and spread of the seeds."""
    drawn, (scatter, change) = figure(9.6, 4.6, title, 2)
    names = list(seen[0].curves)
    points = np.array([[one.curves[name] for name in names] for one in seen])
    gap, before, after = points[..., 0], points[..., 1], points[..., 2]
    scatter.plot(gap.ravel(), 100 - before.ravel(), "o", color=COLOURS[0], alpha=0.3, markersize=4, markeredgewidth=0)
    means = gap.mean(axis=0), 100 - before.mean(axis=0)
    scatter.plot(*means, "D", color="black", markersize=4, label="mean of the seeds")
    for index in _exceptions(*means):
        at = (means[0][index], means[1][index])
        scatter.annotate(names[index], at, (-6, 5), textcoords="offset points", ha="right", fontsize=8)
    scatter.legend(fontsize=8, frameon=False, loc="upper left")
    scatter.set_xscale("log")
    scatter.set_xlabel("gap of the model (standard deviations)")
    scatter.set_ylabel("test images wrong, stored statistics (%)")
    order = np.argsort(before.mean(axis=0))
    for row, index in enumerate(order):
        start, end = before[:, index].mean(), after[:, index].mean()
        change.plot([start, end], [row, row], color="0.6", linewidth=1.4)
        for values, colour, mark in ((before, COLOURS[1], "s"), (after, COLOURS[2], "o")):
            change.errorbar(
                values[:, index].mean(),
                row,
                xerr=values[:, index].std(ddof=1) if len(seen) > 1 else 0,
                fmt=mark,
                color=colour,
                markersize=5,
                linewidth=1,
            )
    change.set_yticks(range(len(order)), [names[index] for index in order], fontsize=8)
    change.set_xlabel("test images right (%), mean and sd of the seeds")
    change.plot([], [], "s", color=COLOURS[1], label="stored statistics")
    change.plot([], [], "o", color=COLOURS[2], label="recalibrated (on the other half)")
    change.legend(fontsize=8, frameon=False, loc="lower left" if before.mean() > 60 else "best")
    return drawn


def _exceptions(gap: np.ndarray, error: np.ndarray, number: int = 5) -> list[int]:
    """Those whose places in the two orders differ most."""
    apart = np.argsort(np.argsort(gap)) - np.argsort(np.argsort(error))
    return np.argsort(-np.abs(apart), kind="stable")[:number].tolist()


ON_DIGITS = Experiment(
    "E5",
    "17 corruptions of digits",
    "see each row",
    partial(_one, digits, 600),
    partial(_draw, "E5: corrupted digits"),
    form=".2f",
)


def on_fashion(folder: Path) -> Experiment:
    """The same on Fashion-MNIST."""
    return Experiment(
        "E5-fashion",
        "17 corruptions of Fashion-MNIST",
        "see each row",
        partial(_one, partial(fashion, folder), 1000),
        partial(_draw, "E5: corrupted Fashion-MNIST"),
        form=".2f",
    )
