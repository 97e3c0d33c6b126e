"""Types and ranges: what a setting may be, and the one message for what it may not."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from numbers import Integral, Real

from bncheck.errors import UsageError
from bncheck.vocabulary import argument


def require_text(name: str, value: object) -> None:
    """Raise UsageError where the value is no text; `None` was not given."""
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{argument(name)} {value!r}: expected text, not {type(value).__name__}.")


def require_number(name: str, value: object, *, whole: bool = False) -> None:
    """Raise UsageError where the value is no number, or no whole one; NumPy's are numbers, `None` was not given."""
    if value is not None and not isinstance(value, Integral if whole else Real):
        raise UsageError(
            f"{argument(name)} {value!r}: expected a {'whole ' if whole else ''}number, not {type(value).__name__}."
        )


def require_one_of(name: str, value: str | None, allowed: Sequence[str], otherwise: str = "") -> None:
    """Raise UsageError where the value is none of the words; `None` was not given."""
    require_text(name, value)
    if value is not None and value not in allowed:
        raise UsageError(f"{argument(name)} {value}: choose one of {', '.join(allowed)}{otherwise}.")


LARGEST = 2**63
"""What whole numbers must stay below: reports hold no larger ones, nor do random generators start at them."""
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


def _shown(value: float) -> str:
    """The number, of which no more is shown than it takes to recognise it."""
    return f"{value:g}" if isinstance(value, float) else reprlib.repr(value)
