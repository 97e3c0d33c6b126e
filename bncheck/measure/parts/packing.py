"""Values as a document of JSON beside named arrays, and back: frozen dataclasses, by the types of their fields.

What is read may be a stranger's: nothing in it is called or imported, every value is checked against the type of its
field, and what does not fit is told with its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from bncheck.encoding import encodable
from bncheck.results import MisfitError, Note, encoded, kind_named, kind_read

T = TypeVar("T")
Array = npt.NDArray[Any]
ArrayNamed = Callable[[str, np.dtype[Any]], Array]
"""Gives the array of that name, whose type must be that; raises `MisfitError` where it is none."""
TENSOR, KIND = "tensor", "kind"
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_PLAIN = {str: "text", int: "a whole number", bool: "true or false"}


class Arrays:
    """Arrays by the places where they stand first, each once however often it is referred to."""

    def __init__(self) -> None:
        self.named: dict[str, Array] = {}
        self._names: dict[int, str] = {}

    def name_of(self, array: Array, place: str) -> str:
        """The name of an array that stands at `place`; it is held from now on, so that no other has its identity."""
        name = self._names.setdefault(id(array), place)
        self.named[name] = array
        return name


def packed(value: Any, arrays: Arrays, place: str = "") -> Any:
    """The value as a document; its arrays go to `arrays`."""
    if isinstance(value, np.ndarray):
        return {TENSOR: arrays.name_of(value, place)}
    if isinstance(value, Note):
        return {KIND: value.kind, **encoded(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: packed(getattr(value, each.name), arrays, _in(place, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if isinstance(value, Mapping):
        return {encodable(str(key)): packed(item, arrays, _in(place, str(key))) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [packed(item, arrays, _in(place, str(at))) for at, item in enumerate(value)]
    return value


def unpacked(kind: type[T], document: object, array: ArrayNamed) -> T:
    """The value of that dataclass which `packed` made a document of; raises `MisfitError`."""
    if not isinstance(document, Mapping):
        raise MisfitError("an object", document)
    hints = _hints(kind)  # type: ignore[arg-type]  # mypy does not see that types can be hashed
    for key in document.keys() - hints.keys():
        raise MisfitError("", problem="is no key that it can have").within(str(key))
    values = {}
    for name, hint in hints.items():
        if name not in document:
            raise MisfitError("", problem="is missing", is_missing=True).within(name)
        values[name] = _within(name, hint, document[name], array)
    return kind(**values)


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    known = get_type_hints(kind)
    return {each.name: known[each.name] for each in fields(kind)}


def _within(step: str | int, hint: Any, value: Any, array: ArrayNamed) -> Any:
    try:
        return _read(hint, value, array)
    except MisfitError as misfit:
        raise misfit.within(step) from None


def _read(hint: Any, value: Any, array: ArrayNamed) -> Any:
    """The value of that type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        others = [each for each in inner if each is not NoneType]
        return None if value is None else _read(others[0], value, array)
    if origin is np.ndarray:
        return _array(value, get_args(inner[1])[0], array)
    if origin is tuple and inner[-1] is not Ellipsis:
        if len(_list(value)) != len(inner):
            raise MisfitError(f"a list of {len(inner)} values", value)
        return tuple(_within(at, each, item, array) for at, (each, item) in enumerate(zip(inner, value, strict=True)))
    if origin in (tuple, frozenset):
        return origin(_within(at, inner[0], item, array) for at, item in enumerate(_list(value)))
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise MisfitError("an object", value)
        return {key: _within(key, inner[1], item, array) for key, item in value.items()}
    if issubclass(hint, Note):
        return _note(value)
    if is_dataclass(hint) and isinstance(hint, type):
        return unpacked(hint, value, array)
    return _plain(hint, value)


def _plain(hint: type[Any], value: Any) -> Any:
    """Texts, numbers and flags, each of which is nothing else."""
    if hint is float:
        known = _NOT_FINITE.get(value) if isinstance(value, str) else value
        if not isinstance(known, int | float) or isinstance(known, bool):
            raise MisfitError("a number", value)
        return float(known)
    if issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        if not isinstance(value, str) or value not in members:
            raise MisfitError(f"one of {', '.join(map(str, members))}", value)
        return members[value]
    if type(value) is not hint:
        raise MisfitError(_PLAIN[hint], value)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise MisfitError("a list", value)
    return value


def _array(value: Any, kind: type[np.generic], array: ArrayNamed) -> Array:
    if not isinstance(value, Mapping) or not isinstance(value.get(TENSOR), str):
        raise MisfitError("the name of a tensor", value)
    return array(value[TENSOR], np.dtype(kind))


def _note(value: Any) -> Note:
    kind = kind_named(value.get(KIND)) if isinstance(value, Mapping) else None
    if kind is None:
        raise MisfitError("a note", value)
    return kind_read(kind, value)


def _in(place: str, step: str) -> str:
    return f"{place}.{step}" if place else step
