"""What users name with --arch, --data and --metric."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

SIZE = 4


class Net(nn.Module):
    """A BatchNorm right behind the input, and a head; `auxiliary` is for training only."""

    def __init__(self, outputs: int = 3, auxiliary: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2 * SIZE * SIZE, outputs)
        self.auxiliary = nn.BatchNorm1d(outputs) if auxiliary else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(x).flatten(1))


class Idle(Net):
    """Never runs its normalization."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


class Loud(Net):
    """Talks on stdout while it is built and while it runs."""

    def __init__(self) -> None:
        super().__init__()
        print("building the network")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("running the network")
        return super().forward(x)


class Interrupted(Net):
    """The user presses Ctrl-C during a forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt


class Leaving(Net):
    """A script that was never meant to be imported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sys.exit(0)


def nothing() -> None:
    """No module at all."""


def images(samples: int = 200) -> torch.Tensor:
    """Shape (N, 2, 4, 4), mean 1 and standard deviation 2."""
    return 1 + 2 * torch.randn((samples, 2, SIZE, SIZE), generator=torch.Generator().manual_seed(0))


def batches() -> list[torch.Tensor]:
    return list(images().split(50))


def loud_batches() -> Iterator[torch.Tensor]:
    for batch in batches():
        print("reading a batch")
        yield batch


def no_batches() -> list[torch.Tensor]:
    return []


def failing_batches() -> Iterator[torch.Tensor]:
    yield images()[:50]
    raise ValueError("disk on fire")


def leaving_batches() -> list[torch.Tensor]:
    sys.exit(0)


def interrupted_batches() -> Iterator[torch.Tensor]:
    yield images()[:50]
    raise KeyboardInterrupt


def negative_loss(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    print("judging")
    return -float(nn.functional.cross_entropy(outputs, labels))


def failing_metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    raise ZeroDivisionError("no boxes")


def leaving_metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    sys.exit(0)


of_a_partial = partial(negative_loss)
