"""Text is cut to a number of lines where a reader would stop: after a sentence or a clause, never inside code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import takewhile

_APART = re.compile(r"`[^`]*`|\([^()]*\)")
"""Code and asides: they stay whole, or go whole."""
_MORE = " …"


def shortened(text: str, width: int, lines: int) -> list[str]:
    """`text` in at most so many lines of that width.

    What does not fit ends with a sentence, or before a semicolon or a colon; else, with an ellipsis, before a comma;
    else after a word; each if that keeps at least half of what would fit. Code between backticks and asides in
    parentheses are never cut in two, unless nothing else is left.
    """
    wrapped = _wrapped(text, width)
    if len(wrapped) <= lines:
        return wrapped
    fitting = list(takewhile(lambda cut: len(_wrapped(cut + _MORE, width)) <= lines, _words(text)))
    if not fitting:
        return textwrap.wrap(text, width, max_lines=lines, placeholder=_MORE, break_on_hyphens=False)
    long_enough = [cut for cut in fitting if 2 * len(cut) >= len(fitting[-1])]
    for marks, ending in ((".;:", "."), (",", _MORE)):
        for cut in reversed(long_enough):
            if cut[-1] in marks:
                return _wrapped(cut[:-1] + ending, width)
    return _wrapped(fitting[-1] + _MORE, width)


def _words(text: str) -> Iterator[str]:
    """Every beginning of the text that ends with a word and cuts nothing that belongs together."""
    apart = [found.span() for found in _APART.finditer(text)]
    for gap in re.finditer(r"\s+", text):
        if not any(start < gap.start() < stop for start, stop in apart):
            yield text[: gap.start()]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)
