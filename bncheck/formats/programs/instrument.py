"""The names that rooms above still call a `Session` by."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bncheck.formats.backend import Backend
from bncheck.formats.programs.session import TorchSession as TorchInstrument
from bncheck.watch.session import Session as Instrument

__all__ = ["Instrument", "TorchInstrument", "instrument"]


def instrument(model: Backend, source_name: str, seed: int) -> AbstractContextManager[Instrument]:
    """See `Backend.session`."""
    return model.session(source_name, seed)
