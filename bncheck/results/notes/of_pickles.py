"""Notes tell how a pickle was read and written without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import listed

_NAMED = 5
"""How many of what a file asks for are named before it is said how many more there are."""


@dataclass(frozen=True, slots=True)
class ReadAsData(Note):
    """A file asks for more than tensors, and none of it was imported or run.

    Attributes:
        names: that it asks for.
        is_module: the model is a module, and not a state dict beside such objects.
    """

    qualifies: ClassVar[bool] = True
    names: tuple[str, ...]
    is_module: bool

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Read as data: nothing that the file asks for was imported or run ({listed(self.names, _NAMED)})."


@dataclass(frozen=True, slots=True)
class BuiltAnew(Note):
    """A pickled module is made of PyTorch's own classes alone, and was built of what the file says of each."""

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "The module is made of PyTorch's own classes alone and was built anew; nothing in the file was run."


@dataclass(frozen=True, slots=True)
class SharedChanged(Note):
    """Other models of the file are in the same memory, and changed with the one that was written."""

    models: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"In the file {listed(self.models)} shares the statistics that were written, and has the new ones too."
