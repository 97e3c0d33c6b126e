"""E2: a network trained on batches that are no random sample leans on their composition; what mends it?"""

from __future__ import annotations

import math
import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from torch import nn

import bncheck
from benchmarks.experiments.drawing import dots, figure
from benchmarks.experiments.experiment import Experiment, Seen, share_of
from benchmarks.experiments.training import (
    ROOT,
    Drawn,
    Labelled,
    Task,
    accuracy,
    accuracy_on_batches,
    digits,
    fashion,
    from_scratch,
    tuned,
)
from benchmarks.nets import small_net
from bncheck.repair.training.options import STEPS, FineTuneOptions

ON_RANDOM = "trained on random batches"
ON_BAD = "trained on bad batches"
RENORMALIZED = "+ Batch Renormalization, bad batches"
RECOVERED = "share of the loss that Batch Renormalization recovers"


@dataclass(frozen=True, slots=True)
class Sampling:
    """The batches that are no random sample, and the training on them.

    Attributes:
        load: gives the training and the test images.
        build: gives a fresh network.
        classes: in one batch, drawn anew for each.
        each: images of every class in it.
        rate, decay, steps: of training from scratch.
    """

    load: Callable[[], tuple[Labelled, Labelled]]
    build: Callable[[], nn.Module]
    classes: int
    each: int
    rate: float
    steps: int
    decay: float = 0.0


def _one(sampling: Sampling, seed: int, effort: float) -> Seen:
    """Train on bad batches, then try everything; fine-tuning by the defaults of `bncheck repair --method renorm`."""
    train, test = sampling.load()
    task = Task(train, test, sampling.build, sampling.rate, share_of(sampling.steps, effort), sampling.decay)
    bad = Drawn(train, sampling.classes, sampling.each, 1000)
    fair = Drawn(train, None, 32, 1000)
    net = from_scratch(task, bad, seed)
    renorm = FineTuneOptions(steps=share_of(STEPS, effort, least=20), seed=seed)
    plain = replace(renorm, r_max=1.0, d_max=0.0)
    numbers = {
        ON_RANDOM: accuracy(from_scratch(task, fair, seed), test),
        ON_BAD: accuracy(net, test),
        "... normalized by its own kind of batch": accuracy_on_batches(
            net, Drawn(test, sampling.classes, sampling.each, share_of(200, effort))
        ),
        "... recalibrated": accuracy(bncheck.recalibrate(net, train[0], seed=seed), test),
        "+ BatchNorm, bad batches": accuracy(tuned(task, net, bad, plain), test),
        RENORMALIZED: accuracy(tuned(task, net, bad, renorm), test),
        "+ BatchNorm, random batches": accuracy(tuned(task, net, fair, plain), test),
    }
    lost = numbers[ON_RANDOM] - numbers[ON_BAD]
    recovered = numbers[RENORMALIZED] - numbers[ON_BAD]
    return Seen({**numbers, RECOVERED: 100 * recovered / lost if lost > 0 else math.nan})


def _draw(title: str, seen: Sequence[Seen]) -> Figure:
    """A row for every network."""
    names = [name for name in seen[0].numbers if name != RECOVERED]
    drawn, (axes,) = figure(7.6, 4.0, title)
    dots(axes, {name: [one.numbers[name] for one in seen] for name in names})
    axes.set_xlabel("test images right (%): seeds, mean and standard deviation")
    return drawn


def _digits_net() -> nn.Module:
    return runpy.run_path(str(ROOT / "sample_models" / "digits_net.py"))["build"]()


ON_DIGITS = Experiment(
    "E2",
    f"digits, batches of 16 of one class; + is {STEPS:,} steps of fine-tuning",
    "% of the test images right",
    partial(_one, Sampling(digits, _digits_net, 1, 16, rate=0.005, steps=840)),
    partial(_draw, "E2: digits, every training batch 16 images of one class"),
)


def on_fashion(folder: Path) -> Experiment:
    """Batches of two classes, 16 images each."""
    sampling = Sampling(partial(fashion, folder), small_net, 2, 16, rate=0.05, steps=1800, decay=5e-4)
    return Experiment(
        "E2-fashion",
        f"Fashion-MNIST, batches of 2 classes x 16; + is {STEPS:,} steps of fine-tuning",
        "% of the test images right",
        partial(_one, sampling),
        partial(_draw, "E2: Fashion-MNIST, every training batch 16 images of each of 2 classes"),
    )
