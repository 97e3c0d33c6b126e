"""Random numbers of a run, kept apart from those of the caller."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from bncheck.data import overlapping
from bncheck.watch import accelerators


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers start at `seed` within, and go on after it as if nothing had been."""
    with overlapping(), torch.random.fork_rng(devices=accelerators()):
        torch.manual_seed(seed)
        yield
