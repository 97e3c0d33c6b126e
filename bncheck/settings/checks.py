"""Types and ranges: what a setting may be, and the one message for what it may not."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from bncheck.errors import UsageError, not_one_of
from bncheck.vocabulary import argument


def require_text(name: str, value: object) -> None:
    """Raise UsageError where the value is no text; `None` was not given."""
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{argument(name)} {_told(value)}: expected text, not {type(value).__name__}.")


def texts(name: str, values: Collection[str]) -> tuple[str, ...]:
    """The texts as a tuple.

    Raises:
        UsageError: it is no collection of texts; one text alone is none.
    """
    if isinstance(values, str) or not isinstance(values, Collection):
        raise UsageError(f"{argument(name)} {_told(values)}: expected a list of texts, not {type(values).__name__}.")
    for value in values:
        require_text(name, value)
    return tuple(values)


def device_name(name: str, value: object) -> str:
    """The text that names the device; PyTorch's own object is turned into it.

    Raises:
        UsageError: it is neither.
    """
    if type(value).__module__ == "torch" and type(value).__name__ == "device":
        return str(value)
    if not isinstance(value, str):
        raise UsageError(f"{argument(name)} {_told(value)}: expected text like 'cpu', not {type(value).__name__}.")
    return value


def require_flag(name: str, value: object) -> None:
    """Raise UsageError where the value is neither true nor false."""
    if not isinstance(value, bool):
        raise UsageError(f"{argument(name)} {_told(value)}: expected True or False, not {type(value).__name__}.")


def require_callable(name: str, value: object) -> None:
    """Raise UsageError where the value cannot be called; `None` was not given."""
    if value is not None and not callable(value):
        raise UsageError(f"{argument(name)} {_told(value)}: expected a callable, not {type(value).__name__}.")


def require_arch(name: str, value: str | Callable[..., Any] | None) -> None:
    """Raise UsageError where the value neither names what builds a module nor does so; `None` was not given."""
    if not isinstance(value, str):
        require_callable(name, value)


def require_keywords(name: str, values: Mapping[str, Any] | None) -> None:
    """Raise UsageError where the values are no keyword arguments; `None` was not given."""
    if values is None:
        return
    if not isinstance(values, Mapping):
        raise UsageError(
            f"{argument(name)} {_told(values)}: expected keyword arguments by name, not {type(values).__name__}."
        )
    for key in values:
        require_text(name, key)


def require_number(name: str, value: object, *, whole: bool = False) -> None:
    """Raise UsageError where the value is no number, or no whole one; NumPy's are numbers, `None` was not given."""
    if value is not None and not isinstance(value, Integral if whole else Real):
        number = "a whole number" if whole else "a number"
        raise UsageError(f"{argument(name)} {_told(value)}: expected {number}, not {type(value).__name__}.")


def require_one_of(name: str, value: str | None, allowed: Sequence[str], otherwise: str = "") -> None:
    """Raise UsageError where the value is none of the words; `None` was not given."""
    require_text(name, value)
    if value is not None and value not in allowed:
        raise not_one_of(name, value, allowed, otherwise)


LARGEST = 2**63
"""What whole numbers must stay below: reports hold no larger ones, nor do random generators start at them."""
MOST_SHARDS = 2**20
LARGEST_COUNT = 2**40
"""What numbers of samples, steps and the like must stay below; products of two are still whole numbers of 64 bits."""


def require_seed(name: str, value: int) -> None:
    """Raise UsageError where no random generator can start at the value."""
    require_at_least(name, value, 0)
    if value >= LARGEST:
        raise UsageError(f"{argument(name)} {_shown(value)}: it must be below 2**63.")


def require_count(name: str, value: int | None, least: int = 1) -> None:
    """Raise UsageError where the value is smaller, or more than there can be of anything; `None` was not given."""
    require_at_least(name, value, least)
    if value is not None and value >= LARGEST_COUNT:
        raise UsageError(f"{argument(name)} {_shown(value)}: it must be below 2**40.")


def require_at_least(name: str, value: float | None, least: int, *, whole: bool = True) -> None:
    """Raise UsageError where the value is smaller, or no (whole) number; `None` was not given."""
    require_number(name, value, whole=whole)
    if value is not None and not value >= least:
        raise UsageError(f"{argument(name)} {_shown(value)}: it must be at least {least}.")


def require_between(
    name: str, value: float, *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> None:
    """Raise UsageError where the value is outside, or no finite number."""
    require_number(name, value)
    if not (math.isfinite(value) and value >= least and value > above and value < below):
        raise UsageError(f"{argument(name)} {value}: it is out of range.")


def _told(value: object) -> str:
    """Any value, of which no more is shown than it takes to recognise it, whatever its class does when asked."""
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001  # the user's own code
        return f"of {type(value).__name__}"


def _shown(value: float) -> str:
    """The number, of which no more is shown than it takes to recognise it."""
    return f"{value:g}" if isinstance(value, float) else reprlib.repr(value)


def require_shard(name: str, value: tuple[int, int]) -> tuple[int, int]:
    """The shard (i, k) of that argument; raises UsageError where it is none."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise UsageError(f"{argument(name)} {_shown(value)}: expected two numbers, (3, 64) for the third of 64.")
    index, count = value
    require_at_least(name, index, 1)
    require_at_least(name, count, 1)
    if index > count or count > MOST_SHARDS:
        raise UsageError(
            f"{argument(name)} {index}/{count}: shards are counted from 1 to their number, which is {MOST_SHARDS} at "
            "the most."
        )
    return index, count
