"""Notes are written as JSON, and read back: of this bncheck as values, of others as their words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bncheck.results.codec import Json, encoded, kind_read
from bncheck.results.misfit import MisfitError
from bncheck.results.notes.note import Note, OtherAcceptance, OtherNote, kind_named
from bncheck.results.types_read import reader
from bncheck.vocabulary import Spelling, spelled

_ACCEPTED = "Accepted BN"
_TEXTS, _DOCUMENTS = reader(tuple[str, ...], kind_read), reader(tuple[Mapping[str, Any], ...], kind_read)


def documents_of(notes: Iterable[Note], spelling: Spelling = Spelling.PYTHON) -> list[Json]:
    """The notes as JSON objects: `kind`, and the kind's own values."""
    return [{"kind": note.kind, **_spelled(encoded(note), spelling)} for note in notes]


def notes_of(texts: Iterable[str], documents: Iterable[Mapping[str, Any]] | None = None) -> tuple[Note, ...]:
    """The notes of a saved report.

    Args:
        texts: its `run.notes`; they stand for what is of no kind that is known here.
        documents: its `run.noted`; `None` in reports from before there were any.
    """
    said, known = list(texts), [] if documents is None else list(documents)
    if len(known) != len(said):
        return tuple(map(_of_text, said))
    read = map(_of_document, known)
    return tuple(_of_text(text) if note is None else note for note, text in zip(read, said, strict=True))


def notes_in(document: Mapping[str, Any]) -> tuple[Note, ...]:
    """The notes of a run or a repair, among whose keys they stand as words and as values; raises `MisfitError`."""
    texts, documents = document.get("notes", ()), document.get("noted")
    return notes_of(_at("notes", _TEXTS, texts), None if documents is None else _at("noted", _DOCUMENTS, documents))


def _at(key: str, read: Any, value: Any) -> Any:
    try:
        return read(value)
    except MisfitError as misfit:
        raise misfit.within(key) from None


def _spelled(value: Any, spelling: Spelling) -> Any:
    if isinstance(value, str):
        return spelled(value, spelling)
    if isinstance(value, list):
        return [_spelled(item, spelling) for item in value]
    return {key: _spelled(item, spelling) for key, item in value.items()} if isinstance(value, dict) else value


def _of_document(document: Mapping[str, Any]) -> Note | None:
    """The note, if it is of a known kind and its values are what that kind holds."""
    kind = kind_named(document.get("kind"))
    if kind is None:
        return None
    try:
        return kind_read(kind, document)
    except MisfitError:
        return None


def _of_text(text: str) -> Note:
    """A note of a report from before notes were values."""
    return OtherAcceptance(text) if text.startswith(_ACCEPTED) else OtherNote(text)
