"""Notes tell what was accepted, and what a baseline or an ignore is no longer good for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import THE_MODEL, listed, place
from bncheck.results.scores import amount
from bncheck.vocabulary import Severity, Worse, argument

NAMED = 5
"""How many entries a note names before it says how many more there are."""
_WORSE = "Worse than in the baseline: "
Place = tuple[str, str | None]
"""A rule's code and a layer; `None` for the whole model."""


@dataclass(frozen=True, slots=True)
class Accepted(Note):
    """Findings of a rule count for nothing, for a reason."""

    qualifies: ClassVar[bool] = True
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

    qualifies: ClassVar[bool] = True
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

    qualifies: ClassVar[bool] = True
    places: tuple[Place, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Not in the baseline: {_places(self.places)}"


@dataclass(frozen=True, slots=True)
class GraverThanBaseline(Note):
    """A finding is of a graver severity than when it was accepted."""

    qualifies: ClassVar[bool] = True
    code: str
    layer: str | None
    was: Severity
    now: Severity

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{_WORSE}{place(self.code, self.layer)} was {self.was} there, {self.now} now"


@dataclass(frozen=True, slots=True)
class WorseThanBaseline(Note):
    """A finding's number is worse than when it was accepted, by more than was tolerated."""

    qualifies: ClassVar[bool] = True
    code: str
    layer: str | None
    was: float
    now: float
    unit: str
    tolerance: float = 0.0
    worse: Worse = Worse.HIGHER

    @property
    def sentence(self) -> str:
        """See `Note`."""
        sign = "+" if self.worse is Worse.HIGHER else "-"
        tolerance = f" ({sign} {self.tolerance:.2g})" if self.tolerance else ""
        before, after = amount(self.was, self.unit), amount(self.now, self.unit)
        return f"{_WORSE}{place(self.code, self.layer)} was {before}{tolerance} there, {after} now"


@dataclass(frozen=True, slots=True)
class UntoldInBaseline(Note):
    """Whether a finding got worse cannot be told: a number is lacking, or another quantity was measured."""

    qualifies: ClassVar[bool] = True
    code: str
    layer: str | None
    was: float | None
    was_unit: str | None
    now: float | None
    now_unit: str | None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        where = f"{_WORSE}{place(self.code, self.layer)}"
        if self.was is None:
            told = "cannot be told now either" if self.now is None else f"is {amount(self.now, self.now_unit)} now"
            return f"{where} could not be told there, and {told}"
        before = amount(self.was, self.was_unit)
        if self.now is None:
            return f"{where} was {before} there, and cannot be told now"
        after = amount(self.now, self.now_unit)
        return f"{where} was {before} there, and is {after} now, which is another quantity"


@dataclass(frozen=True, slots=True)
class UnfitForBaseline(Note):
    """Errors of which no number tells how bad they are can stand in no baseline."""

    qualifies: ClassVar[bool] = True
    places: tuple[Place, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        they_are = "it is" if len(self.places) == 1 else "they are"
        return (
            f"No baseline can hold {_places(self.places)}: how bad {they_are} cannot be told, so nothing would show "
            "that it got worse"
        )


@dataclass(frozen=True, slots=True)
class EarlierBaseline(Note):
    """Findings were compared by their severity alone, because an earlier version wrote the baseline."""

    qualifies: ClassVar[bool] = True
    places: tuple[Place, ...]
    baseline: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"{self.baseline} was written by an earlier version and does not say how bad {_places(self.places)} was "
            f"in the rule's own number, so the severity alone was compared. Add {argument('write_baseline')} "
            f"{self.baseline} to write how bad it is now"
        )


@dataclass(frozen=True, slots=True)
class NoLongerFound(Note):
    """Entries of a baseline are of no use any more."""

    qualifies: ClassVar[bool] = True
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

    qualifies: ClassVar[bool] = True
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
