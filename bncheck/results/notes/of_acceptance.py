"""Notes on what was accepted, and on what a baseline or an ignore is no longer good for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import THE_MODEL, listed, place
from bncheck.vocabulary import argument

NAMED = 5
"""How many entries a note names before it says how many more there are."""
Place = tuple[str, str | None]
"""A rule's code and a layer; `None` for the whole model."""


@dataclass(frozen=True, slots=True)
class Accepted(Note):
    """Findings of a rule count for nothing, for a reason."""

    accepts: ClassVar[bool] = True
    code: str
    layers: tuple[str, ...]
    why: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        several = f" in {len(self.layers)} layers" if len(self.layers) > 1 else ""
        where = several or "".join(f" in {name or THE_MODEL}" for name in self.layers)
        return f"Accepted {self.code}{where}: {self.why}"


@dataclass(frozen=True, slots=True)
class AcceptedMore(Note):
    """Findings of a rule were accepted for more reasons than are told."""

    accepts: ClassVar[bool] = True
    code: str
    times: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Accepted {self.code} {self.times} more times"


@dataclass(frozen=True, slots=True)
class NotInBaseline(Note):
    """Layers of a finding are new."""

    places: tuple[Place, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Not in the baseline: {_places(self.places)}"


@dataclass(frozen=True, slots=True)
class GraverThanBaseline(Note):
    """A finding is of a graver severity than when it was accepted."""

    code: str
    layer: str | None
    was: str
    now: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Worse than in the baseline: {place(self.code, self.layer)} was {self.was} there, {self.now} now"


@dataclass(frozen=True, slots=True)
class WorseThanBaseline(Note):
    """A finding's number is worse than when it was accepted, or (`now` is `None`) can no longer be told."""

    code: str
    layer: str | None
    was: float
    tolerance: float
    now: float | None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        where = f"Worse than in the baseline: {place(self.code, self.layer)} was {self.was:.3g}"
        if self.now is None:
            return f"{where} there, and cannot be told now"
        return f"{where} (+ {self.tolerance:.2g}) there, {self.now:.3g} now"


@dataclass(frozen=True, slots=True)
class NoLongerFound(Note):
    """Entries of a baseline are of no use any more."""

    places: tuple[Place, ...]
    baseline: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"No longer found, though in the baseline: {_places(self.places)}. Add {argument('write_baseline')} "
            f"{self.baseline} to take {'it' if len(self.places) == 1 else 'them'} out"
        )


@dataclass(frozen=True, slots=True)
class UnusedIgnore(Note):
    """An ignore covers nothing that was found.

    Attributes:
        codes: of the rules it is about.
        layer: the pattern of names it is for.
        reason: it gives.
        source: the file it stands in.
        named: whether a layer has such a name.
        nearest: the name most like it, where none has.
    """

    codes: tuple[str, ...]
    layer: str
    reason: str
    source: str
    named: bool
    nearest: str | None = None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        source = f" of {self.source}" if self.source else ""
        told = f"the ignore{source} for {', '.join(self.codes)} in {self.layer} ({self.reason})"
        if self.named:
            return f"Of no use any more: {told}"
        nearest = "" if self.nearest is None else f", {self.nearest!r} is the nearest"
        return f"Of no use: {told}; no layer has such a name{nearest}"


def _places(places: tuple[Place, ...]) -> str:
    return listed([place(code, layer) for code, layer in places], NAMED)
