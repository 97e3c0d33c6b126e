"""What is the whole process's own, and is put back after code that is not ours has run: it may set any of it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence

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


@contextlib.contextmanager
def same_random_state(devices: Sequence[int], seed: int | None = None) -> Iterator[None]:
    """After it the random state of Python, NumPy and torch is as before it.

    Args:
        devices: the CUDA devices whose state counts too.
        seed: where the three start within it; `None` for where they are.
    """
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
