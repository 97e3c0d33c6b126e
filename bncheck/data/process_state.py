"""What is the whole process's own, and is put back after code that is not ours has run: it may set any of it."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def same_settings() -> Iterator[None]:
    """After it torch's and NumPy's settings are as before it: they change what everybody else computes.

    These are torch's default dtype and device, gradient mode, number of threads and determinism, and what NumPy does
    about floating-point errors.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    determinism, errors = torch.get_deterministic_debug_mode(), np.geterr()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(None)  # that it was unset is not told otherwise
            if torch.get_default_device() != device:
                torch.set_default_device(device)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.is_grad_enabled() != gradients:
            torch.set_grad_enabled(gradients)
        if torch.get_deterministic_debug_mode() != determinism:
            torch.set_deterministic_debug_mode(determinism)
        np.seterr(**errors)


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
                    torch.manual_seed(seed)
                yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
