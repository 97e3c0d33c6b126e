"""Notes are written as JSON, and read back: of this bncheck as values, of others as their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from bncheck.results.notes.note import Note, OtherAcceptance, OtherNote, kind_named
from bncheck.results.notes.of_measuring import SamplesLeftOut
from bncheck.vocabulary import Spelling, spelled

_LEFT_OUT = re.compile(r"(\d+) samples? left out: the program takes batches of exactly (\d+)")
"""What decided a verdict in reports from before notes were values."""
_ACCEPTED = "Accepted BN"


def documents_of(notes: Iterable[Note], spelling: Spelling = Spelling.PYTHON) -> list[dict[str, Any]]:
    """The notes as JSON objects: `kind`, and the kind's own values."""
    return [
        {"kind": note.kind, **{each.name: _written(getattr(note, each.name), spelling) for each in fields(note)}}  # type: ignore[arg-type]
        for note in notes
    ]


def notes_of(texts: Sequence[str], documents: Sequence[Mapping[str, Any]] | None = None) -> tuple[Note, ...]:
    """The notes of a saved report.

    Args:
        texts: its `run.notes`; they stand for what is of no kind that is known here.
        documents: its `run.noted`; `None` in reports from before there were any.
    """
    if documents is None or len(documents) != len(texts):
        return tuple(map(_of_text, texts))
    read = (_of_document(document) for document in documents)
    return tuple(_of_text(text) if note is None else note for note, text in zip(read, texts, strict=True))


def _written(value: Any, spelling: Spelling) -> Any:
    if isinstance(value, str):
        return spelled(value, spelling)
    return [_written(item, spelling) for item in value] if isinstance(value, tuple) else value


def _of_document(document: Mapping[str, Any]) -> Note | None:
    """The note, if it is of a known kind and its values are what that kind holds."""
    kind = kind_named(document.get("kind"))
    if kind is None:
        return None
    values = {name: _read(value) for name, value in document.items() if name != "kind"}
    hints = {each.name: get_type_hints(kind)[each.name] for each in fields(kind)}  # type: ignore[arg-type]
    if values.keys() != hints.keys() or not all(_fits(values[name], hint) for name, hint in hints.items()):
        return None
    return kind(**values)


def _read(value: Any) -> Any:
    return tuple(map(_read, value)) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    """Whether the value is of that type; a whole number is a number too."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return any(_fits(value, argument) for argument in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        expected = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        return len(value) == len(expected) and all(map(_fits, value, expected))
    if hint in (None, NoneType):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _of_text(text: str) -> Note:
    """A note of a report from before notes were values."""
    if found := _LEFT_OUT.fullmatch(text.rstrip(".")):
        return SamplesLeftOut(int(found[1]), int(found[2]))
    return OtherAcceptance(text) if text.startswith(_ACCEPTED) else OtherNote(text)
