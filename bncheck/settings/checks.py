"""Ranges: what a setting may be, and the one message for what it may not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bncheck.errors import UsageError
from bncheck.vocabulary import argument


def require_one_of(name: str, value: str | None, allowed: Sequence[str], otherwise: str = "") -> None:
    """Raise UsageError where the value is none of the words; `None` was not given."""
    if value is not None and value not in allowed:
        raise UsageError(f"{argument(name)} {value}: choose one of {', '.join(allowed)}{otherwise}.")


def require_at_least(name: str, value: float | None, least: int) -> None:
    """Raise UsageError where the value is smaller, or not a number; `None` was not given."""
    if value is not None and not value >= least:
        shown = f"{value:g}" if isinstance(value, float) else value
        raise UsageError(f"{argument(name)} {shown}: it must be at least {least}.")


def require_between(
    name: str, value: float, *, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> None:
    """Raise UsageError where the value is outside, or not finite."""
    if not (math.isfinite(value) and value >= least and value > above and value < below):
        raise UsageError(f"{argument(name)} {value}: it is out of range.")
