"""Ranges: what a setting may be, and the one message for what it may not."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence

from bncheck.errors import UsageError
from bncheck.vocabulary import argument


def require_one_of(name: str, value: str | None, allowed: Sequence[str], otherwise: str = "") -> None:
    """Raise UsageError where the value is none of the words; `None` was not given."""
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


def require_at_least(name: str, value: float | None, least: int) -> None:
    """Raise UsageError where the value is smaller, or not a number; `None` was not given."""
    if value is not None and not value >= least:
        raise UsageError(f"{argument(name)} {_shown(value)}: it must be at least {least}.")


def require_between(
    name: str, value: float, *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> None:
    """Raise UsageError where the value is outside, or not finite."""
    if not (math.isfinite(value) and value >= least and value > above and value < below):
        raise UsageError(f"{argument(name)} {value}: it is out of range.")


def _shown(value: float) -> str:
    """The number, of which no more is shown than it takes to recognise it."""
    return f"{value:g}" if isinstance(value, float) else reprlib.repr(value)
