"""Faults in the stored values of a net, at several strengths."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.diagnosis.data import Task
from benchmarks.diagnosis.nets import fit, norms
from benchmarks.diagnosis.planted import Planted, held


def never_updated(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Weights without their statistics."""
    broken = copy.deepcopy(net)
    for norm in norms(broken):
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
    yield Planted("never updated", "all", ("BN102",), broken, *held(task))


def warm_up_forwards(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Initial statistics after k forwards of zeros."""
    for k in (1, 3, 10):
        broken = copy.deepcopy(net)
        for norm in norms(broken):
            norm.running_mean.zero_()
            norm.running_var.fill_((1 - norm.momentum) ** k)
            norm.num_batches_tracked.fill_(k)
        yield Planted("warm-up forwards", f"k={k}", ("BN103",), broken, *held(task))


def not_burnt_in(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Statistics that were reset and saw few batches since."""
    for k in (3, 8, 16):
        broken = copy.deepcopy(net)
        for norm in norms(broken):
            norm.reset_running_stats()
        broken.train()
        with torch.no_grad():
            for number in range(k):
                broken(task.x[32 * number : 32 * (number + 1)])
        yield Planted("not burnt in", f"{k} updates", ("BN105", "BN608"), broken.eval(), *held(task))


def lag(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Statistics that are still a share of the initial ones, under a counter that does not tell."""
    for share in (0.9, 0.5, 0.25, 0.1):
        broken = copy.deepcopy(net)
        for norm in norms(broken):
            norm.running_mean.mul_(1 - share)
            norm.running_var.mul_(1 - share).add_(share)
        yield Planted("lag", f"{share:.0%} initial", ("BN608", "BN105"), broken, *held(task), tolerated=("BN104",))


def broken_values(net: nn.Module, task: Task) -> Iterator[Planted]:
    """One impossible value in one layer."""
    for code, value in (("BN201", float("nan")), ("BN202", -0.25)):
        broken = copy.deepcopy(net)
        norms(broken)[1].running_var[3] = value
        yield Planted(f"variance {value}", "one channel", (code,), broken, *held(task), layer=1, certain=True)


def one_layer(net: nn.Module, task: Task) -> Iterator[Planted]:
    """One inner layer with statistics that are not its own."""
    for strength in ("variance x2", "variance x4", "variance x16", "means permuted", "variance /4"):
        broken = copy.deepcopy(net)
        norm = norms(broken)[1]
        if strength == "means permuted":
            norm.running_mean.copy_(norm.running_mean.roll(3))
        else:
            factor = float(strength[10:]) if "x" in strength else 1 / float(strength[10:])
            norm.running_var.mul_(factor)
        yield Planted("one layer", strength, ("BN607",), broken, *held(task), layer=1)


def averaged_weights(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Other weights under the statistics: an average over more training, its buffers left behind."""
    for steps in (100, 300):
        further = copy.deepcopy(net)
        kept = {name: value.clone() for name, value in further.named_buffers()}
        fit(further, task.x, task.y, 11, steps=steps, batch=32, rate=0.1)
        for name, value in further.named_buffers():
            value.copy_(kept[name])
        yield Planted("weights moved on", f"{steps} steps", ("BN603", "BN608"), further, *held(task))
