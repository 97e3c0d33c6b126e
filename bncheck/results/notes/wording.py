"""Lists and counts are put into words here, for notes and for everything that renders."""

from __future__ import annotations

from collections.abc import Iterable


def count(number_of: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def listed(names: Iterable[object], limit: int = 8) -> str:
    """The first `limit` names, separated by commas, and how many more there are."""
    every = [str(name) for name in names]
    return ", ".join(every[:limit]) + (f" and {len(every) - limit} more" if len(every) > limit else "")


def place(code: str, layer: str | None) -> str:
    """`BN603 in stem.bn`."""
    return f"{code} in {layer or THE_MODEL}"


THE_MODEL = "the model"
