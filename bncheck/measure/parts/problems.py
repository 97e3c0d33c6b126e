"""How parts are named where they do not go together."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 6


def listed_parts(names: Iterable[object]) -> str:
    """The names one after the other, the first of many.

    >>> listed_parts(["a", "b"]), listed_parts(range(9))
    ('a, b', '0, 1, 2, 3, 4, 5 and 3 more')
    """
    known = [str(name) for name in names]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more
