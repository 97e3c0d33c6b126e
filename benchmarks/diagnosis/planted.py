"""What it is to plant a fault: the net and the data that have it, and what ought to be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from benchmarks.diagnosis.data import Task


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A net and data with one fault.

    Attributes:
        fault: its name.
        strength: how strong, in the fault's own terms.
        codes: any of these names it rightly.
        net: eager, in eval mode: what the accuracy is taken of.
        x, y: what it is inspected on.
        layer: index among the norms that ought to be named, `None` where the fault is in all or in the input.
        options: further arguments of `bncheck.inspect`.
        tolerated: codes that may be found besides.
        model: what is inspected, where it is not the net itself.
        labelled: whether bncheck gets the labels.
        certain: it has to be found whatever it costs.
        by_statistics: it costs accuracy in other ways besides; what counts is how much other statistics would win.
    """

    fault: str
    strength: str
    codes: tuple[str, ...]
    net: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    layer: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    tolerated: tuple[str, ...] = ()
    model: Any = None
    labelled: bool = True
    certain: bool = False
    by_statistics: bool = False


Plan = Callable[[nn.Module, Task], Iterator[Planted]]


def held(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """At most 2,000 of the held-out samples: what a user would give."""
    return task.x_held[:2000], task.y_held[:2000]
