"""What is the whole process's own, and is put back after code that is not ours has run: it may set any of it."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bncheck.tensors import torch

if TYPE_CHECKING:
    from bncheck.data.process_settings import Setting


class OwnSettings:
    """The process's settings as somebody's code has them: whatever it sets is undone when it returns.

    What decides what is computed it finds as it was before its first call; of the rest, its environment or its path of
    modules, it finds again what it set itself.
    """

    def __init__(self) -> None:
        self._theirs: list[tuple[Setting, Any]] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Around a call of the code; after it, however it ends, all settings are as they were."""
        from bncheck.data.process_settings import COMPUTING, OTHERS  # PyTorch's

        outside = [(setting, setting.get()) for setting in (*COMPUTING, *OTHERS)]
        for setting, value in self._theirs:
            setting.put(value)
        try:
            yield
        finally:
            found = [(setting, setting.get()) for setting, _ in outside]
            changed = [(now, before) for now, before in zip(found, outside, strict=True) if now[1] != before[1]]
            self._theirs = [now for now, _ in changed if now[0] in OTHERS]
            for _, (setting, value) in changed:
                setting.put(value)


class _Overlapping:
    """Blocks of several threads that each change the random state and put back what they found.

    That state is the process's. Where such blocks overlap, the one that ends last puts back what it found, which is
    another's, and what was there before any of them would be lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[int] = []
        self._several = False
        self._before: tuple[Any, ...] = ()

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        """One of them; it surrounds whatever changes the state."""
        own = threading.get_ident()
        with self._lock:
            if not self._threads:
                self._before = (random.getstate(), np.random.get_state(), torch.get_rng_state())
                self._several = False
            self._threads.append(own)
            self._several = self._several or len(set(self._threads)) > 1
        try:
            yield
        finally:
            with self._lock:
                self._threads.remove(own)
                if self._several and not self._threads:
                    python_state, numpy_state, torch_state = self._before
                    random.setstate(python_state)
                    np.random.set_state(numpy_state)
                    torch.set_rng_state(torch_state)


_overlapping = _Overlapping()


def overlapping() -> contextlib.AbstractContextManager[None]:
    """Around a block that changes the random state and puts it back: several threads at once leave it as it was."""
    return _overlapping.block()


@cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()


def seed_torch(seed: int) -> None:
    """Have torch's random numbers start at `seed`, those of its devices too where there are any.

    `torch.manual_seed` by itself formats a stack trace for each kind of device that is not in use yet, which takes
    longer than many a forward.
    """
    if _has_accelerator():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@contextlib.contextmanager
def same_random_state(devices: Sequence[int], seed: int | None = None) -> Iterator[None]:
    """After it the random state of Python, NumPy and torch is as before it.

    Args:
        devices: the CUDA devices whose state counts too.
        seed: where the three start within it; `None` for where they are.
    """
    with overlapping():
        python_state = random.getstate()
        numpy_state = np.random.get_state()
        try:
            with torch.random.fork_rng(devices=devices):
                if seed is not None:
                    random.seed(seed)
                    np.random.seed(seed % 2**32)
                    seed_torch(seed)
                yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
