"""Faults that can be planted into a healthy net or its data, each at several strengths, and what should be found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from benchmarks.diagnosis.data import Task
from benchmarks.diagnosis.nets import fit, norms


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A net and data with one fault.

    Attributes:
        fault: its name.
        strength: how strong, in the fault's own terms.
        codes: any of these names it rightly.
        net: eager, in eval mode.
        x, y: what it is inspected on.
        layer: index among the norms that ought to be named, `None` where the fault is in all or in the input.
        options: further arguments of `bncheck.inspect`.
        tolerated: codes that may be found besides.
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


Plan = Callable[[nn.Module, Task], Iterator[Planted]]


def _held(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    return task.x_held, task.y_held


def never_updated(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Weights without their statistics."""
    broken = copy.deepcopy(net)
    for norm in norms(broken):
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
    yield Planted("never updated", "all", ("BN102",), broken, *_held(task))


def dummy_forwards(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Initial statistics after k forwards of zeros."""
    for k in (1, 3, 10):
        broken = copy.deepcopy(net)
        for norm in norms(broken):
            norm.running_mean.zero_()
            norm.running_var.fill_((1 - norm.momentum) ** k)
            norm.num_batches_tracked.fill_(k)
        yield Planted("dummy forwards", f"k={k}", ("BN103",), broken, *_held(task))


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
        yield Planted("not burnt in", f"{k} updates", ("BN105", "BN608"), broken.eval(), *_held(task))


def lag(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Statistics that are still a share of the initial ones, under a counter that does not tell."""
    for share in (0.9, 0.5, 0.25, 0.1):
        broken = copy.deepcopy(net)
        for norm in norms(broken):
            norm.running_mean.mul_(1 - share)
            norm.running_var.mul_(1 - share).add_(share)
        yield Planted("lag", f"{share:.0%} initial", ("BN608", "BN105"), broken, *_held(task), tolerated=("BN104",))


def broken_values(net: nn.Module, task: Task) -> Iterator[Planted]:
    """One impossible value in one layer."""
    for code, value in (("BN201", float("nan")), ("BN202", -0.25)):
        broken = copy.deepcopy(net)
        norms(broken)[1].running_var[3] = value
        yield Planted(f"variance {value}", "one channel", (code,), broken, *_held(task), layer=1)


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
        yield Planted("one layer", strength, ("BN607",), broken, *_held(task), layer=1)


def scaled_input(net: nn.Module, task: Task) -> Iterator[Planted]:
    """The input in another unit."""
    x, y = _held(task)
    for factor in (255.0, 16.0, 4.0, 2.0, 0.5, 0.25, 1 / 16, 1 / 255):
        yield Planted("scaled input", f"x{factor:.3g}", ("BN601",), net, x * factor, y)


def missing_mean_std(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Trained on standardized images, fed others."""
    mean, std = 0.485, 0.229
    fitted = copy.deepcopy(net)
    fit(fitted, (task.x - mean) / std, task.y, 7, steps=400, batch=32, rate=0.05)
    x, y = _held(task)
    yield Planted("missing mean and std", "0.485, 0.229", ("BN601",), fitted, x, y)
    standard = ((x - mean) / std - mean) / std
    yield Planted("mean and std twice", "0.485, 0.229", ("BN601",), fitted, standard, y)


def swapped_channels(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Blue for red."""
    if task.channels != 3:
        return
    x, y = _held(task)
    yield Planted("swapped channels", "bgr", ("BN602",), net, x.flip(1), y)


def other_domain(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Noise, contrast and fog that training never saw."""
    x, y = _held(task)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    for sigma in (0.2, 0.4, 0.8):
        # Noise moves statistics in a way that no map of the input undoes.
        yield Planted("noise", f"sd {sigma}", ("BN603",), net, x + sigma * noise, y)


def one_class_batches(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Weights that learned to lean on batches of one class."""
    fitted = copy.deepcopy(net)
    generator = torch.Generator().manual_seed(5)
    optimizer = torch.optim.SGD(fitted.parameters(), 0.05, momentum=0.9)
    by_class = [torch.nonzero(task.y == label).flatten() for label in range(10)]
    fitted.train()
    for _ in range(600):
        members = by_class[int(torch.randint(10, (1,), generator=generator))]
        chosen = members[torch.randint(len(members), (16,), generator=generator)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(fitted(task.x[chosen]), task.y[chosen]).backward()
        optimizer.step()
    yield Planted("one-class batches", "16 of one class", ("BN610",), fitted.eval(), *_held(task), tolerated=("BN603",))


def averaged_weights(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Other weights under the statistics: an average over more training, its buffers left behind."""
    for steps in (100, 300):
        further = copy.deepcopy(net)
        kept = {name: value.clone() for name, value in further.named_buffers()}
        fit(further, task.x, task.y, 11, steps=steps, batch=32, rate=0.1)
        for name, value in further.named_buffers():
            value.copy_(kept[name])
        yield Planted("weights moved on", f"{steps} steps", ("BN603", "BN608"), further, *_held(task))


PLANS: tuple[Plan, ...] = (
    never_updated,
    dummy_forwards,
    not_burnt_in,
    lag,
    broken_values,
    one_layer,
    scaled_input,
    missing_mean_std,
    swapped_channels,
    other_domain,
    one_class_batches,
    averaged_weights,
)
