"""Memory that was let go of and that the C library still holds, in pieces between what is in use."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


class Heap:
    """Gives back what lies free, now and then: each time what is needed next has to be asked for anew.

    Args:
        every: bytes of samples after which it does.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._passed = 0

    def passed(self, size: int) -> None:
        """So many bytes of samples were read and let go of."""
        self._passed += size
        if self._passed >= self._every:
            self._passed = 0
            give_back()


def give_back() -> None:
    """Have the system take what lies free, where the C library can (glibc, which else keeps it)."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return None
