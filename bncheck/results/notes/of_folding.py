"""Notes tell of layers that were folded away, and of what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import count, listed
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class FoldedLayersRead(Note):
    """Folded layers are measured through a reference.

    Attributes:
        layers: how many.
        reference: its path; `None` for the stamp in the file itself.
    """

    layers: int
    reference: str | None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        seen = f"{count(self.layers, 'folded layer')} {'is' if self.layers == 1 else 'are'}"
        return f"{seen} read through {self.reference or 'the stamp'}."


@dataclass(frozen=True, slots=True)
class MeasuredReference(Note):
    """Convolutions stand in for normalization layers that were folded away: they store what they gave on good data.

    Attributes:
        layers: how many.
        samples: they were measured on.
        source: what these are called.
    """

    layers: int
    samples: int
    source: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"{count(self.layers, 'convolution or linear layer')} stand for normalization layers: what they gave on "
            f"{count(self.samples, 'sample')} of {self.source} is the reference, and gaps are from that"
        )


def compared_with(notes: Iterable[Note]) -> str:
    """What gaps are from, in a word: the `stored` statistics, or in an export that has none those of a `reference`."""
    return "reference" if any(isinstance(note, MeasuredReference) for note in notes) else "stored"


@dataclass(frozen=True, slots=True)
class ReferenceLayersUnfound(Note):
    """Layers of the reference are not found in the model.

    Attributes:
        layers: their names there.
        reference: its path; `None` for the stamp in the file itself.
        incomparable: forms of weights in the model that nothing can be compared with.
    """

    qualifies: ClassVar[bool] = True
    layers: tuple[str, ...]
    reference: str | None
    incomparable: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """See `Note`."""
        if self.incomparable:
            cause = f"the model has weights that cannot be compared ({', '.join(self.incomparable)})"
        elif self.reference is None:
            cause = "the model was changed since it was stamped"
        else:
            cause = "their weights were changed, folded in a way that cannot be seen through, or left out of the export"
        return f"Layers of {self.reference or 'the stamp'} that are not found: {listed(self.layers)}; {cause}."


@dataclass(frozen=True, slots=True)
class BareConvolutions(Note):
    """Convolutions have a bias and no normalization behind them, as if it had been folded."""

    qualifies: ClassVar[bool] = True
    convolutions: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"{self.convolutions} convolutions have a bias and no normalization behind them: if the export folded "
            f"BatchNorm into them, {argument('reference', 'MODEL')} checks and measures it there"
        )
