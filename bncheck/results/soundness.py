"""What any document must keep to before its values are looked at: its depth, its numbers, its texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bncheck.results.misfit import MisfitError

DEEPEST = 48
"""How deep documents may be nested; reports go to 9, with what evidence and options hold."""
LARGEST = 2**63
"""What whole numbers must stay below: larger ones are no count of anything, and cannot become floats."""


def require_sound(value: object) -> None:
    """Raise `MisfitError` where a document is nested too deeply or holds what no report can say again."""
    _require(value, DEEPEST)


def _require(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _require_text(value)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not -LARGEST < value < LARGEST:
            raise MisfitError("a smaller number", value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise MisfitError("", problem="is a number beyond all floats")
    elif depth == 0:
        raise MisfitError("", problem=f"is nested more than {DEEPEST} deep")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MisfitError("a document of JSON, whose keys are texts,", str(key))
            _require_text(key)
            _within(item, depth, key)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            _within(item, depth, at)
    else:
        raise MisfitError("a value of JSON", repr(value))


def _within(item: Any, depth: int, step: str | int) -> None:
    try:
        _require(item, depth - 1)
    except MisfitError as misfit:
        raise misfit.within(step) from None


def _require_text(value: str) -> None:
    """Half a surrogate pair is no character: no file of UTF-8 can hold it."""
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise MisfitError("", problem="holds half a character (a lone surrogate)") from None
