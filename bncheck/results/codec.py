"""The one codec between values and JSON: frozen dataclasses to documents, and back.

Both directions follow the fields of the class. Where a document is not written field by field (`stored: {eps, ...}`),
the class says so in `__json__`, a `Written`. What is read is checked against the fields' types; what does not fit is
an error that names its place: `layers[3].gap should be a number and is "x"`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_type_hints

from bncheck.encoding import encodable
from bncheck.errors import UnreadableError
from bncheck.results.misfit import MisfitError, missing, unknown
from bncheck.results.soundness import require_sound
from bncheck.results.types_read import Reader, reader

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """How a class is written where that is not field by field.

    Attributes:
        places: of fields that stand under another key, or within an object: `{"stored_eps": ("stored", "eps")}`.
        derived: keys that are written for readers and follow from the fields; they are not read.
        first: the keys that come first, in this order; the others follow in the order of the fields.
        last: the keys that come last.
        gathered: fields that are made of several keys, and by what; it is given the object, and `derived` writes them.
        left_out: fields that no document holds.
        added: fields that documents of earlier versions lack; they are read as their default.
        closed: whether a key that no field has is an error. Else it is passed by: later versions may add some.
        earlier: what makes a document of an earlier version one of this.
        settled: what the value becomes that was read, by what stands beside a number.
    """

    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    derived: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    gathered: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    closed: bool = False
    earlier: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    settled: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document comes from, and how an error speaks of it.

    Attributes:
        name: of the file.
        what: it should be: `report`.
        advice: what to do where it is none.
        error: the kind of error that is raised.
    """

    name: str
    what: str
    advice: str = ""
    error: type[UnreadableError] = UnreadableError

    def refusal(self, misfit: MisfitError) -> UnreadableError:
        """The error that says what does not fit, and where."""
        whole = "whole " if misfit.is_missing else ""
        of_bncheck = "" if misfit.is_missing else " of bncheck"
        return self.is_none(f"{misfit}", f"{whole}{self.what}{of_bncheck}")

    def is_none(self, why: str, what: str = "") -> UnreadableError:
        """The error that says why it is none."""
        advice = f" {self.advice}" if self.advice else ""
        return self.error(f"{self.name} is no {what or f'{self.what} of bncheck'}: {why}.{advice}")


def encoded(value: Any) -> Any:
    """`value` as JSON holds it: dataclasses as objects, and every float that is not finite as `None`, at any depth."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {encoded(key): encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _object_of(value)
    return value


def decoded(kind: type[T], document: object, origin: Origin) -> T:
    """The value that `encoded` made `document` of.

    Raises:
        UnreadableError: it was made of none (or the `error` of `origin`).
    """
    try:
        require_sound(document)
        return kind_read(kind, document)
    except MisfitError as misfit:
        raise origin.refusal(misfit) from misfit


def kind_read(kind: type[T], document: object) -> T:
    """The value of that dataclass in a document that is sound; raises `MisfitError`."""
    if not isinstance(document, Mapping):
        raise MisfitError("an object", document)
    written, plan = _written(kind), _plan_of(kind)
    content = document if written.earlier is None else written.earlier(document)
    if written.closed:
        _require_known(content, plan, written)
    values = {}
    for each in plan:
        found = _at(content, each)
        if found is not _ABSENT:
            try:
                values[each.name] = each.read(found)
            except MisfitError as misfit:
                raise misfit.within(*each.place) from misfit.__cause__
    values |= {name: gather(content) for name, gather in written.gathered.items()}
    value = kind(**values)
    return value if written.settled is None else written.settled(value)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field, and where it stands in a document."""

    name: str
    place: tuple[str, ...]
    read: Reader
    may_be_absent: bool


_ABSENT = object()
_PLAIN = Written()


def _written(kind: type[Any]) -> Written:
    written: Written = getattr(kind, "__json__", _PLAIN)
    return written


def _plan_of(kind: Any) -> tuple[_Field, ...]:
    return _plan(kind)  # `Any`, because mypy does not see that types can be hashed


@cache
def _plan(kind: type[Any]) -> tuple[_Field, ...]:
    written, hints = _written(kind), get_type_hints(kind)
    for each in fields(kind):
        if each.name in written.added and each.default is MISSING and each.default_factory is MISSING:
            raise TypeError(f"{kind.__name__}.{each.name} may be absent from documents, and has no default")
    return tuple(
        _Field(
            name=each.name,
            place=written.places.get(each.name, (each.name,)),
            read=reader(hints[each.name], kind_read),
            may_be_absent=each.name in written.added,
        )
        for each in fields(kind)
        if each.name not in written.left_out and each.name not in written.gathered
    )


@cache
def _writing(kind: type[Any]) -> tuple[tuple[tuple[str, ...], Callable[[Any], Any] | str], ...]:
    """What is written, in order: the place, and the field or what it is derived by."""
    written = _written(kind)
    parts: list[tuple[tuple[str, ...], Callable[[Any], Any] | str]] = [
        *(((key,), derive) for key, derive in written.derived.items()),
        *((each.place, each.name) for each in _plan_of(kind)),
    ]
    order = {key: at for at, key in enumerate(written.first)}
    order |= {key: len(parts) + at for at, key in enumerate(written.last)}
    return tuple(sorted(parts, key=lambda part: order.get(part[0][0], len(written.first))))


def _object_of(value: Any) -> Json:
    document: Json = {}
    kind: Any = type(value)
    for place, source in _writing(kind):
        *outer, key = place
        part = document
        for name in outer:
            part = part.setdefault(name, {})
        part[key] = encoded(getattr(value, source) if isinstance(source, str) else source(value))
    return document


def _at(document: Mapping[str, Any], each: _Field) -> Any:
    part: Any = document
    for depth, key in enumerate(each.place):
        if not isinstance(part, Mapping):
            raise MisfitError("an object", part).within(*each.place[:depth])
        if key not in part:
            if each.may_be_absent:
                return _ABSENT
            raise missing(*each.place[: depth + 1])
        part = part[key]
    return part


def _require_known(document: Mapping[str, Any], plan: tuple[_Field, ...], written: Written) -> None:
    known = {each.place[0] for each in plan} | written.derived.keys()
    for key in document:
        if key not in known:
            raise unknown(key)
