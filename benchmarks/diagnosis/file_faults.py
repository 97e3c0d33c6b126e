"""Faults in settings, files and exports, and in the training's loader."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from functools import cache

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from benchmarks.diagnosis.data import Task
from benchmarks.diagnosis.nets import fit, norms
from benchmarks.diagnosis.planted import Planted, held


def settings(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Settings that were not those of the training."""
    x, y = held(task)
    for eps in (0.1, 1.0):
        changed = copy.deepcopy(net)
        for norm in norms(changed):
            norm.eps = eps
        yield Planted("eps", f"{eps:g}", ("BN302",), changed, x, y, tolerated=("BN603",))
    changed = copy.deepcopy(net)
    for norm in norms(changed):
        norm.momentum = 0.99
    loader = task.x[:600], task.y[:600]
    yield Planted(
        "momentum of the other convention",
        "0.99",
        ("BN301",),
        changed,
        x,
        y,
        options={"train_data": loader},
        certain=True,
    )
    changed = copy.deepcopy(net)
    norm = norms(changed)[1]
    norm.running_mean = norm.running_var = None
    norm.track_running_stats = False
    yield Planted("no statistics by configuration", "one layer", ("BN303",), changed, x, y, layer=1, certain=True)


def counters(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Counters that contradict the statistics or each other."""
    changed = copy.deepcopy(net)
    for norm in norms(changed):
        norm.num_batches_tracked.zero_()
    yield Planted("counters at 0", "all", ("BN104",), changed, *held(task), certain=True)
    changed = copy.deepcopy(net)
    norms(changed)[1].num_batches_tracked.mul_(2)
    yield Planted("counted twice", "one layer", ("BN501",), changed, *held(task), layer=1, certain=True)


def vanishing_variance(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Channels whose stored variance is 0 and whose data vary."""
    for channels in (1, 4):
        changed = copy.deepcopy(net)
        norms(changed)[1].running_var[:channels] = 0.0
        yield Planted("variance 0", f"{channels} channels", ("BN203", "BN607"), changed, *held(task), layer=1)


def half_precision(net: nn.Module, task: Task) -> Iterator[Planted]:
    """The same function with values that float16 cannot hold."""
    changed = copy.deepcopy(net)
    norm = norms(changed)[1]
    before = next(module for module in _before(changed, norm) if isinstance(module, nn.Conv2d | nn.Linear))
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.mul_(3e3)
        norm.running_mean.mul_(3e3)
        norm.running_var.mul_(9e6)
    options = {"deploy_dtype": "float16"}
    yield Planted("beyond float16", "x3000", ("BN204",), changed, *held(task), layer=1, options=options, certain=True)


def _before(net: nn.Module, norm: nn.Module) -> list[nn.Module]:
    """The modules declared before the norm, the nearest first."""
    modules = list(net.modules())
    return modules[: next(place for place, one in enumerate(modules) if one is norm)][::-1]


def missing(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Only the parameters were saved."""
    parameters = _file(dict(net.named_parameters()))
    fresh = copy.deepcopy(net)
    for norm in norms(fresh):
        norm.reset_running_stats()
    options = {"arch": lambda: copy.deepcopy(fresh)}
    yield Planted(
        "parameters alone", "all", ("BN101",), fresh, *held(task), options=options, model=parameters, certain=True
    )


def averaged(net: nn.Module, task: Task) -> Iterator[Planted]:
    """A checkpoint whose averaged weights have initial statistics, or those of the raw model."""
    further = copy.deepcopy(net)
    fit(further, task.x, task.y, 13, steps=100, batch=32, rate=0.1)
    average = copy.deepcopy(net)
    with torch.no_grad():
        for own, other in zip(average.parameters(), further.parameters(), strict=True):
            own.lerp_(other, 0.5)
    for strength in ("initial", "of the raw model"):
        copied = copy.deepcopy(average)
        for norm, raw in zip(norms(copied), norms(further), strict=True):
            if strength == "initial":
                norm.reset_running_stats()
            else:
                norm.load_state_dict({**norm.state_dict(), **dict(raw.named_buffers())})
        both = _file({"model": further.state_dict(), "ema": copied.state_dict()})
        options = {"arch": lambda: copy.deepcopy(average), "key": "ema"}
        planted = Planted(
            "averaged weights",
            f"statistics {strength}",
            ("BN401",),
            copied,
            *held(task),
            options=options,
            tolerated=("BN102",),
            model=both,
            certain=True,
        )
        yield planted


def exported(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Exports in the wrong mode, and folded with other statistics than those of the checkpoint."""
    x, y = held(task)
    traced = torch.jit.trace(copy.deepcopy(net).train(), x[:4], check_trace=False)
    yield Planted("exported in training mode", "TorchScript", ("BN701",), net, x, y, model=traced, certain=True)
    for factor in (1.5, 4.0):
        other = copy.deepcopy(net)
        norms(other)[1].running_var.mul_(factor)
        folded = fuse(other)
        yield Planted(
            "folded with other statistics",
            f"variance x{factor:g}",
            ("BN403",),
            folded,
            x,
            y,
            options={"reference": net},
            certain=True,
        )


def loaders(net: nn.Module, task: Task) -> Iterator[Planted]:
    """Training data in an order, or in batches, that their statistics suffer from."""
    x, y = held(task)
    order = task.y[:640].argsort()
    for name, data, size, code in (
        ("sorted training data", (task.x[:640][order], task.y[:640][order]), 32, "BN605"),
        ("batches of 2", (task.x[:640], task.y[:640]), 2, "BN609"),
    ):
        batches = [(data[0][start : start + size], data[1][start : start + size]) for start in range(0, 640, size)]
        yield Planted(name, f"{size} a batch", (code,), net, x, y, options={"train_data": batches}, certain=True)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Emptied when the process ends."""
    return tempfile.TemporaryDirectory(prefix="bncheck-")


def _file(content: dict[str, object]) -> str:
    """A checkpoint on disk, as long as the process lives."""
    with tempfile.NamedTemporaryFile(suffix=".pt", dir=_folder().name, delete=False) as stream:
        torch.save(content, stream)
        return stream.name
