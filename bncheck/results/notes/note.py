"""A note is a value: its kind, and what is to be known of it; its sentence stands beside it, once.

The sentences stand here and not among the renderers because the contract's `run.notes` are sentences, and a report
makes its own JSON.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from bncheck.vocabulary import Spelling, spelled

_KINDS: dict[str, type[Note]] = {}
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


class Note(ABC):
    """Something that the reader of a report should know of how it came about.

    A kind is a frozen dataclass of its own; its fields are texts, numbers, flags and tuples of them, so that they can
    be written as JSON and read back. Arguments are named by `bncheck.vocabulary.argument`.

    Attributes:
        kind: what the JSON calls it, made of the class's name: `samples-left-out`.
        accepts: whether it tells of findings that were accepted, which another judgement says anew.
        qualifies: whether it changes what the verdict means: something was left out, or not looked for. Such a note
            stands on the first screen.
    """

    __slots__ = ()
    kind: ClassVar[str]
    accepts: ClassVar[bool] = False
    qualifies: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Every kind is known by its name."""
        super().__init_subclass__()
        cls.kind = _CAPITAL.sub("-", cls.__name__).lower()
        _KINDS[cls.kind] = cls

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The note in words, its arguments marked; see `sentences`."""


@dataclass(frozen=True, slots=True)
class OtherNote(Note):
    """A note of which nothing but the words is known: it comes from an old report, or from a newer bncheck."""

    qualifies: ClassVar[bool] = True
    text: str

    @property
    def sentence(self) -> str:
        """The words."""
        return self.text


@dataclass(frozen=True, slots=True)
class OtherAcceptance(Note):
    """An old report's note on what it accepted."""

    accepts: ClassVar[bool] = True
    qualifies: ClassVar[bool] = True
    text: str

    @property
    def sentence(self) -> str:
        """The words."""
        return self.text


def sentences(notes: Iterable[Note], spelling: Spelling = Spelling.PYTHON) -> tuple[str, ...]:
    """The notes in words, with arguments named as they are where it is read."""
    return tuple(spelled(note.sentence, spelling) for note in notes)


def kind_named(kind: object) -> type[Note] | None:
    """The class of that kind; `None` where this bncheck knows none of that name."""
    return _KINDS.get(kind) if isinstance(kind, str) else None
