"""Training from scratch, judging and recalibrating: what the experiments have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bncheck.data import open_data
from bncheck.repair.training.finetune import fine_tune
from bncheck.repair.training.options import FineTuneOptions

Labelled = tuple[torch.Tensor, torch.Tensor]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Images and labels, and how a network for them is built and trained.

    Attributes:
        train, test: images (N, C, H, W) and labels (N,).
        build: gives a fresh network.
        rate: learning rate of training from scratch, SGD with momentum 0.9 and a cosine.
        steps: of training from scratch.
        decay: weight decay of it.
    """

    train: Labelled
    test: Labelled
    build: Callable[[], nn.Module]
    rate: float
    steps: int
    decay: float = 0.0


class Drawn:
    """A loader that draws batches of a few classes at random: `classes` of them, `each` samples of every one.

    With all classes (`None`) samples are drawn regardless of class.
    """

    def __init__(self, data: Labelled, classes: int | None, each: int, batches: int) -> None:
        self.x, self.y = data
        self.classes, self.each, self.batches = classes, each, batches
        self.members = [torch.nonzero(self.y == label).flatten() for label in range(int(self.y.max()) + 1)]

    def __iter__(self) -> Iterator[Labelled]:
        for _ in range(self.batches):
            if self.classes is None:
                chosen = torch.randint(len(self.y), (self.each,))
            else:
                labels = torch.randperm(len(self.members))[: self.classes].tolist()
                chosen = torch.cat([self._of(label) for label in labels])
            yield self.x[chosen], self.y[chosen]

    def _of(self, label: int) -> torch.Tensor:
        members = self.members[label]
        return members[torch.randint(len(members), (self.each,))]


def from_scratch(task: Task, loader: Iterable[Labelled], seed: int) -> nn.Module:
    """A network trained for the task's number of steps, in eval mode."""
    torch.manual_seed(seed)
    net = task.build()
    optimizer = torch.optim.SGD(net.parameters(), task.rate, momentum=0.9, weight_decay=task.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.steps)
    net.train()
    done = 0
    while done < task.steps:
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == task.steps:
                break
    return net.eval()


def tuned(task: Task, net: nn.Module, loader: Iterable[Labelled], options: FineTuneOptions) -> nn.Module:
    """A fine-tuned copy, as plain BatchNorm."""
    own = task.build()
    own.load_state_dict(fine_tune(net, open_data(loader), options).state)
    return own.eval()


def accuracy(net: nn.Module, data: Labelled) -> float:
    """Per cent right in eval mode."""
    net.eval()
    with torch.no_grad():
        batches = zip(data[0].split(1000), data[1].split(1000), strict=True)
        right = sum(int((net(x).argmax(1) == y).sum()) for x, y in batches)
    return 100.0 * right / len(data[1])


def accuracy_on_batches(net: nn.Module, loader: Iterable[Labelled]) -> float:
    """Per cent right with the statistics of each batch as the loader makes them."""
    own = copy.deepcopy(net).train()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            right, total = right + int((own(x).argmax(1) == y).sum()), total + len(y)
    return 100.0 * right / total


def digits() -> tuple[Labelled, Labelled]:
    """The digits of the samples: 1,200 to train on and 597 others."""
    parts = []
    for part in ("train", "eval"):
        with np.load(ROOT / "sample_models" / f"digits_{part}.npz") as stored:
            parts.append((torch.from_numpy(stored["x"]), torch.from_numpy(stored["y"])))
    return parts[0], parts[1]


def fashion(folder: Path) -> tuple[Labelled, Labelled]:
    """Fashion-MNIST from the two .npz files in `folder`: 60,000 images to train on and 10,000 others."""
    parts = []
    for part in ("train60000", "test10000"):
        with np.load(folder / f"fashion_mnist_{part}.npz") as stored:
            x, y = (stored[name] for name in stored.files[:2])
            parts.append((torch.from_numpy(x).reshape(-1, 1, 28, 28).float() / 255, torch.from_numpy(y).long()))
    return parts[0], parts[1]
