"""The share of the data that one of several processes reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

_ASKED = ("rank", "world_size")


@dataclass(frozen=True, slots=True)
class Share:
    """Every `count`-th of what all read, from number `index` on."""

    index: int = 0
    count: int = 1

    def of(self, number: int | None) -> int | None:
        """This share's part of so many samples; all parts add up to them."""
        if number is None:
            return None
        return number * (self.index + 1) // self.count - number * self.index // self.count


ALL = Share()


def asks_for_share(function: Callable[..., Any]) -> bool:
    """Whether a function of the user's takes `rank` and `world_size`, by which it gives a share of its own."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    placed = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return all(name in known and known[name].kind in placed for name in _ASKED)


def told_share(function: Callable[..., Any], share: Share) -> Callable[[], Any]:
    """The function with what it asks for."""
    return partial(function, rank=share.index, world_size=share.count) if asks_for_share(function) else function
