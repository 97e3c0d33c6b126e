"""How a net and its samples are given to bncheck: as a module or as a program, with labels or without."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.tasks.training import Samples, norms

NO_LABELS, BATCH_OF_ONE, ONE_BY_ONE = "no labels", "batch of 1", "one by one"


def inspected(net: nn.Module, samples: Samples, given: str) -> bncheck.Report:
    """The report."""
    model: Any = net
    if given == BATCH_OF_ONE:
        model = _exported(net, samples[0][0][:1])
    if given == ONE_BY_ONE:
        return bncheck.inspect(model, list(samples))
    x, y = samples[0]
    return bncheck.inspect(model, x if given == NO_LABELS else (x, y))


def recalibrated(net: nn.Module, samples: Samples) -> nn.Module:
    """The net with the statistics of all these samples, as `bncheck repair` would store them."""
    if len(samples) > 1:
        return _layer_by_layer(net, [x for x, _ in samples])
    return bncheck.recalibrate(net, samples[0][0], until=0.0)


def _layer_by_layer(net: nn.Module, inputs: Sequence[torch.Tensor]) -> nn.Module:
    """Measure each layer on single samples once those before it are right: there is no batch to be normalized by."""
    fresh = copy.deepcopy(net)
    for norm in norms(fresh).values():
        seen: list[torch.Tensor] = []
        hook = norm.register_forward_pre_hook(
            lambda _, given, seen=seen: seen.append(given[0].movedim(1, 0).flatten(1))
        )
        with torch.no_grad():
            for x in inputs:
                fresh(x)
        hook.remove()
        values = torch.cat(seen, 1)
        norm.running_mean.copy_(values.mean(1))
        norm.running_var.copy_(values.var(1, correction=0))
    return fresh


def _keep(seen: list[torch.Tensor], _: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
    seen.append(given[0].movedim(1, 0).flatten(1))


def _exported(net: nn.Module, example: torch.Tensor) -> str:
    """A program that takes one sample at a time and no other number."""
    program = torch.export.export(net, (example,))
    path = Path(_folder().name) / "batch_of_1.pt2"
    torch.export.save(program, path)
    return str(path)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Emptied when the process ends."""
    return tempfile.TemporaryDirectory(prefix="bncheck-")
