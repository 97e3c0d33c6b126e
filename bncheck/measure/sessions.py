"""Where a model becomes one that can be watched: the only place in measuring that knows how that is done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from bncheck.formats.model import Model
from bncheck.formats.programs.instrument import Instrument as Session
from bncheck.formats.programs.instrument import accelerators, instrument

__all__ = ["Session", "open_session", "seeded"]


def open_session(model: Model, source_name: str, seed: int) -> contextlib.AbstractContextManager[Session]:
    """A session in which `model` is watched; errors call the data by `source_name`.

    Raises:
        ModelError: there is no runtime that can run the model.
    """
    return instrument(model, source_name, seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers start at `seed` within, and go on after it as if nothing had been."""
    with torch.random.fork_rng(devices=accelerators()):
        torch.manual_seed(seed)
        yield
