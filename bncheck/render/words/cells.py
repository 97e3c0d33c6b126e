"""Single values become characters: numbers of three digits, names that fit, nothing a terminal would obey."""

from __future__ import annotations

import math

from bncheck import encoding
from bncheck.results import count

__all__ = ["NOT_MEASURED", "count", "number", "printable", "shorten", "span"]

NOT_MEASURED = "-"


def printable(text: str) -> str:
    """`text` without control characters but the ends of its lines, which whoever makes lines of it has checked."""
    return "\n".join(map(encoding.printable, text.split("\n")))


def number(value: float | None) -> str:
    """Two decimals below ten, three digits above; `-` where not measured, `<0.01` for what would read as 0."""
    if value is None:
        return NOT_MEASURED
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 999.5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if 0 < size < 0.005:
        return "<0.01"
    return f"{value:.2f}" if size < 9.995 else f"{value:.3g}"


def span(low: float | None, high: float | None) -> str:
    """Both ends of a range, or what they have in common."""
    first, last = number(low), number(high)
    return first if first == last else f"{first}..{last}"


def shorten(name: str, width: int) -> str:
    """The end of a dotted name says most: the beginning gives way."""
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]
