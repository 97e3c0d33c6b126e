"""What is found by where it stands: the modules of a package, what a caller adds to them, and what a path may mean."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
_LOOKED_THROUGH = 10_000
"""Names in a folder among which the one is looked for that may have been meant."""
_LONGEST = 64
"""Characters of a word that is looked for."""
_DEEPEST = 32
"""Parts of a path that is looked for; a longer one was not typed by hand."""


def modules_in(package: ModuleType, *, folders_only: bool = False) -> Iterator[ModuleType]:
    """Import the modules of a package, in the order of their names; `folders_only`: those that are packages."""
    for found in pkgutil.iter_modules(package.__path__):
        if found.ispkg or not folders_only:
            yield importlib.import_module(f"{package.__name__}.{found.name}")


@contextlib.contextmanager
def added(known: ContextVar[tuple[T, ...]], more: Iterable[T]) -> Iterator[None]:
    """Have `more` among what is known, before the rest, within the block."""
    token = known.set((*more, *known.get()))
    try:
        yield
    finally:
        known.reset(token)


def meant(path: Path | str) -> str:
    """The file whose path is most alike, as a question: its folder may be mistyped too; nothing where none is."""
    typed = os.fspath(path)
    found = _nearest(typed) if typed.count(os.sep) < _DEEPEST else None
    return f" (did you mean {found}?)" if found else ""


def meant_word(value: str, words: Iterable[str], also: Mapping[str, str] | None = None) -> str:
    """The word most like what was typed, as a question; nothing where none is.

    Args:
        value: what was typed.
        words: that there are.
        also: what people call some of them.

    >>> meant_word("recalibrat", ("recalibrate", "blend"))
    ' (did you mean recalibrate?)'
    >>> meant_word("Segmentaton", ("classes", "positions"), {"segmentation": "positions"})
    ' (did you mean positions?)'
    >>> meant_word("bytes", ("gap", "order", "name"))
    ''
    """
    known = {word.lower(): word for word in words}
    known = {name: word for name, word in (also or {}).items() if word.lower() in known} | known
    close = get_close_matches(value.strip().lower().replace("_", "-")[:_LONGEST], known, n=1)
    return f" (did you mean {known[close[0]]}?)" if close else ""


def _nearest(path: str) -> str | None:
    """What is there under a name like it, in its folder or in one whose name is like that one's."""
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        other = _nearest(folder) if os.path.split(folder)[1] else None
        if other is None or not os.path.isdir(other):
            return None
        folder = other
        if os.path.lexists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, _LOOKED_THROUGH)]
    except (OSError, ValueError):  # ValueError: a null character
        return None
    close = get_close_matches(name, names, n=1, cutoff=0.75)
    return os.path.join(folder, close[0]) if close else None
