"""Users' code that would break a run: what it raises, gives, and does to the process."""

from __future__ import annotations

import decimal
import io
import locale
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import typer
from users_code import Net, images


class Untellable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        sys.exit(0)


class Shouting(Exception):
    """Its text is long, and its second line a command to a CI system."""

    def __str__(self) -> str:
        return f"\x1b[31m{'x' * 900_000}\n::error::injected"


class Own(BaseException):
    """No `Exception`."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit(0),
    "typer_exit": lambda: typer.Exit(0),
    "abort": click.Abort,
    "generator_exit": GeneratorExit,
    "untellable": Untellable,
    "exit_untellable": lambda: SystemExit(Untellable()),
    "shouting": Shouting,
    "own": Own,
    "broken_pipe": lambda: BrokenPipeError(32, "Broken pipe"),
}


def _raised(name: str) -> Any:
    raise ERRORS[name]()


def _loader(name: str) -> Callable[[], Iterator[torch.Tensor]]:
    def batches() -> Iterator[torch.Tensor]:
        yield images()[:50]
        _raised(name)

    return batches


class _Closing:
    """Raises when it is asked for anything that it does not have."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter([images()])

    def __getattr__(self, _: str) -> Any:
        return _raised(self.name)


def _net(name: str, method: str) -> type[Net]:
    return type(Net.__name__, (Net,), {method: lambda *_, **__: _raised(name)})


def _metric(name: str) -> Callable[..., Any]:
    return lambda outputs, labels: _raised(name)


_ROLES: dict[str, Callable[[str], Any]] = {
    "loader": _loader,
    "asked": lambda name: lambda: _Closing(name),
    "forward": lambda name: _net(name, "forward"),
    "eval": lambda name: _net(name, "eval"),
    "state": lambda name: _net(name, "state_dict"),
    "listed": lambda name: _net(name, "named_buffers"),
    "metric": _metric,
}
globals().update({f"{role}_{name}": make(name) for role, make in _ROLES.items() for name in ERRORS})


class Zeroing(Net):
    """Writes to what it is given, and sets all that is the whole process's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = super().forward(x)
        x.zero_()
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True)
        torch.set_grad_enabled(False)
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        np.seterr(all="raise")
        set_everything()
        return scores


def set_everything() -> None:
    """All that code can set of its process, and that others would notice."""
    torch.autograd.set_detect_anomaly(True)
    torch.set_autocast_enabled("cpu", True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic
    warnings.simplefilter("error")
    os.environ["HOSTILE"] = "1"
    os.environ.pop("COLUMNS", None)
    sys.path.insert(0, "/nowhere")
    sys.setrecursionlimit(sys.getrecursionlimit() + 100)
    sys.stderr = io.StringIO()
    decimal.getcontext().prec = 3
    locale.setlocale(locale.LC_ALL, "C")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)


ELSEWHERE = "elsewhere"


def _move() -> None:
    """Where it has not been it makes a folder and stays there."""
    if Path.cwd().name != ELSEWHERE:
        Path(ELSEWHERE).mkdir()
        os.chdir(ELSEWHERE)


class Moving(Net):
    """Works in a folder of its own, with whose files it goes on."""

    def __init__(self) -> None:
        super().__init__()
        _move()
        Path("state").write_text("built")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _move()
        Path("state").write_text(Path("state").read_text() + ".")
        return super().forward(x)


def moving_batches() -> Iterator[torch.Tensor]:
    for batch in images().split(50):
        _move()
        yield batch


def moving_metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    _move()
    return float((outputs.argmax(1) == labels).float().mean())


def setting_batches() -> Iterator[torch.Tensor]:
    for batch in images().split(50):
        torch.set_default_dtype(torch.float64)
        np.seterr(all="raise")
        set_everything()
        yield batch
        assert os.environ["HOSTILE"] == "1"  # what it has set is there when it goes on


class EvalGivesNothing(Net):
    def eval(self) -> None:  # type: ignore[override]
        super().eval()


class StateOfNothing(Net):
    def state_dict(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        return None


class WithinItself(Net):
    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_modules"]["inner"] = self


class SparseScores(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).to_sparse()


def nan_metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    return float("nan")


def text_metric(outputs: torch.Tensor, labels: torch.Tensor) -> str:
    return "good"


def zeroing_metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    share = float((outputs.argmax(1) == labels).float().mean())
    outputs.zero_()
    labels.fill_(7)
    return share


def endless_batches() -> Iterator[torch.Tensor]:
    batch = images()
    while True:
        yield batch


def endless_empty_batches() -> Iterator[torch.Tensor]:
    batch = images()[:0]
    while True:
        yield batch
