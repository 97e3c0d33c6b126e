"""Faults in what a net is fed, and in what it was trained on."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.diagnosis.data import Task
from benchmarks.diagnosis.nets import fit
from benchmarks.diagnosis.planted import Planted, held

LEARNED = 0.8
"""Accuracy on batches of its own kind that a net must have, to have learned by them."""


def scaled_input(net: nn.Module, task: Task) -> Iterator[Planted]:
    """The input in another unit."""
    x, y = held(task)
    for factor in (255.0, 16.0, 4.0, 2.0, 0.5, 0.25, 1 / 16, 1 / 255):
        yield Planted("scaled input", f"x{factor:.3g}", ("BN601",), net, x * factor, y)
    for factor in (255.0, 1 / 255):
        scaled = x * factor
        yield Planted("scaled input, no labels", f"x{factor:.3g}", ("BN601",), net, scaled, y, labelled=False)


def missing_mean_std(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Trained on standardized images, fed others."""
    mean, std = 0.485, 0.229
    fitted = copy.deepcopy(net)
    fit(fitted, (task.x - mean) / std, task.y, 7, steps=400, batch=32, rate=0.05)
    x, y = held(task)
    yield Planted("missing mean and std", "0.485, 0.229", ("BN601",), fitted, x, y)
    standard = ((x - mean) / std - mean) / std
    yield Planted("mean and std twice", "0.485, 0.229", ("BN601",), fitted, standard, y)


def swapped_channels(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Blue for red."""
    if task.channels != 3:
        return
    x, y = held(task)
    yield Planted("swapped channels", "bgr", ("BN602",), net, x.flip(1), y)


def other_domain(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Noise, contrast and fog that training never saw."""
    x, y = held(task)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    for sigma in (0.2, 0.4, 0.8):
        # Noise moves statistics in a way that no map of the input undoes.
        yield Planted("noise", f"sd {sigma}", ("BN603",), net, x + sigma * noise, y, by_statistics=True)


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
    if _by_class(fitted, by_class, task) < LEARNED:
        return  # it has learned nothing by such batches, so there is nothing to lean on
    yield Planted("one-class batches", "16 of one class", ("BN610",), fitted.eval(), *held(task), tolerated=("BN603",))


def _by_class(net: nn.Module, members: list[torch.Tensor], task: Task) -> float:
    """Accuracy on batches of one class, normalized by their own statistics."""
    by_batch = copy.deepcopy(net).train()
    right = 0
    with torch.no_grad():
        for label, chosen in enumerate(members):
            right += int((by_batch(task.x[chosen]).argmax(1) == label).sum())
    return right / len(task.y)
