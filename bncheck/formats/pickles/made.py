"""Names whose calls give something real, made by functions of bncheck's own that check what they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.placeholders import ForeignName, ForeignObject

Make = Callable[[tuple[Any, ...], Budget], Any]


class NotMadeError(Exception):
    """What was given is of no kind that is made: the call stays a placeholder."""


@dataclass(frozen=True, slots=True, eq=False)
class Known(ForeignName):
    """A name of the list.

    Attributes:
        make: what its call gives, of the arguments; raises `NotMadeError`, or ValueError where they are damaged.
    """

    make: Make


def made_by(maker: Any, arguments: Any, budget: Budget) -> Any:
    """What a call gives: something real where the name is in the list, else a placeholder. Nothing else is called."""
    if type(arguments) is not tuple:
        raise ValueError("a call has no arguments")
    if isinstance(maker, Known):
        try:
            return maker.make(arguments, budget)
        except NotMadeError:
            pass
    return ForeignObject(maker, arguments)
