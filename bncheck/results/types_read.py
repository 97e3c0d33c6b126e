"""What reads a value of each type that fields have: one function a type, made once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from bncheck.results.misfit import MisfitError

Reader = Callable[[Any], Any]
_NAMES = {str: "texts", int: "whole numbers", float: "numbers", bool: "true or false"}


def reader(hint: Any, of_dataclass: Callable[[type[Any], object], Any]) -> Reader:
    """What reads a value of that type, or raises `MisfitError`.

    Args:
        hint: a type as fields are annotated with: plain ones, enums, dataclasses, `X | None`, `tuple[X, ...]`,
            `tuple[X, Y]` and `Mapping[str, X]` of them, and `Any`.
        of_dataclass: reads a dataclass.

    Raises:
        TypeError: no document can hold values of that type.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        others = [each for each in inner if each is not NoneType]
        if len(others) == 1 and NoneType in inner:
            return partial(_maybe, reader(others[0], of_dataclass))
    elif origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return partial(_several, _named(inner[0]), reader(inner[0], of_dataclass))
    elif origin is tuple and inner:
        return partial(_each, tuple(reader(each, of_dataclass) for each in inner))
    elif origin is Mapping and inner[0] is str:
        return partial(_table, reader(inner[1], of_dataclass))
    elif isinstance(hint, type) and is_dataclass(hint):
        return partial(of_dataclass, hint)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        return partial(_member, {member.value: member for member in hint})
    elif hint in _PLAIN:
        return _PLAIN[hint]
    raise TypeError(f"{hint} is no type that documents can hold")


def _maybe(read: Reader, value: Any) -> Any:
    return None if value is None else read(value)


def _several(of_what: str, read: Reader, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise MisfitError(f"a list of {of_what}", value)
    return tuple(_at(read, item, at) for at, item in enumerate(value))


def _each(readers: tuple[Reader, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) != len(readers):
        raise MisfitError(f"a list of {len(readers)} values", value)
    return tuple(_at(read, item, at) for at, (read, item) in enumerate(zip(readers, value, strict=True)))


def _at(read: Reader, item: Any, step: str | int) -> Any:
    try:
        return read(item)
    except MisfitError as misfit:
        raise misfit.within(step) from None


def _table(read: Reader, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MisfitError("an object", value)
    return {key: _at(read, item, key) for key, item in value.items()}


def _member(members: Mapping[Any, Enum], value: Any) -> Enum:
    if not isinstance(value, str) or value not in members:
        raise MisfitError(f"one of {', '.join(members)}", value)
    return members[value]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MisfitError("text", value)
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisfitError("a whole number", value)
    return value


def _number(value: Any) -> float:
    """A number; what was not finite is NaN."""
    if value is None:
        return math.nan
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MisfitError("a number", value)
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise MisfitError("true or false", value)
    return value


def _anything(value: Any) -> Any:
    return value


_PLAIN: Mapping[Any, Reader] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _flag,
    Any: _anything,
}


def _named(hint: Any) -> str:
    return "objects" if isinstance(hint, type) and is_dataclass(hint) else _NAMES.get(hint, "values")
