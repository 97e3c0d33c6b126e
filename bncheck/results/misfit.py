"""What does not fit in a document, and where."""

from __future__ import annotations

import json
from typing import Any

_SHOWN = 40
_LONGEST = 120


class MisfitError(Exception):
    """A part of a document is not what it should be; the place is told from the inside outwards."""

    def __init__(self, expected: str, found: object = None, *, problem: str = "", is_missing: bool = False) -> None:
        """What was expected and what is there instead; or another `problem`."""
        super().__init__(expected)
        self.problem = problem or f"should be {expected} and is {shown(found)}"
        self.is_missing = is_missing
        self.place: tuple[str | int, ...] = ()

    def within(self, *place: str | int) -> MisfitError:
        """The same, seen from further outside."""
        self.place = (*place, *self.place)
        return self

    def __str__(self) -> str:
        """The place and what is wrong there: `layers[3].gap should be a number and is "x"`."""
        return f"{spelled_place(self.place) or 'it'} {self.problem}"


def missing(*place: str | int) -> MisfitError:
    """Something that has to be there is not."""
    return MisfitError("", problem="is missing", is_missing=True).within(*place)


def unknown(key: str) -> MisfitError:
    """Something is there that no document has."""
    return MisfitError("", problem="is no key that it can have").within(key)


def shown(value: object) -> str:
    """The value as JSON, shortened."""
    text = json.dumps(_shallow(value), default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def spelled_place(place: tuple[str | int, ...]) -> str:
    """The place in a document, shortened: `findings[1].evidence`."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"


def _shallow(value: Any) -> Any:
    """No more of a value than is shown: what is nested deeply cannot be written, what is long takes long."""
    if isinstance(value, str):
        return value[: 2 * _SHOWN]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number of very many digits"
    if isinstance(value, list | tuple):
        return ["..." if isinstance(item, dict | list | tuple) else _shallow(item) for item in value[:_SHOWN]]
    if isinstance(value, dict):
        first = list(value.items())[:_SHOWN]
        return {
            str(key)[:_SHOWN]: "..." if isinstance(item, dict | list | tuple) else _shallow(item) for key, item in first
        }
    return value
