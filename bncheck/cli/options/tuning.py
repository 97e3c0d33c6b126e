"""What is typed of a fine-tuning with Batch Renormalization, and what it comes to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bncheck.cli.options.typed import read_callable
from bncheck.cli.process import say
from bncheck.settings import LOSS, PRECISION


@contextlib.contextmanager
def kept_when_interrupted(resume: str | None) -> Iterator[None]:
    """Ctrl-C says where the state of the training is kept, if it is."""
    try:
        yield
    except KeyboardInterrupt:
        if resume is not None and Path(resume).exists():
            say(f"The training up to its last whole interval is kept in {resume}: the same command goes on from there.")
        raise


def read_loss(typed: str | None) -> str | Callable[..., Any]:
    """The loss that `--loss` names: one of bncheck's, or a function of the user's, whose code is run."""
    own = read_callable(typed, "loss") if typed and ":" in typed else None
    return own or typed or LOSS


def precision_of(device: str, *, mixed: bool) -> str:
    """The precision that `--amp` means on a device."""
    if not mixed:
        return PRECISION
    return "float16" if device.startswith("cuda") else "bfloat16"
