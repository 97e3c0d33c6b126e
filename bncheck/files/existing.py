"""Files that are not there: said before anything is imported that takes time, with the name that was meant perhaps."""

from __future__ import annotations

import os
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from bncheck.errors import UsageError

_LOOKED_THROUGH = 10_000
"""Names in a folder among which the one is looked for that may have been meant."""


def require_existing(*paths: Path | str | None) -> None:
    """Raise UsageError where one of the paths leads nowhere; `None` was not given."""
    for path in paths:
        if path is not None and not os.path.lexists(path):
            raise UsageError(f"There is no file {path}{meant(path)}.")
        if path is not None and not os.path.exists(path):
            raise UsageError(f"There is no file {path}: it is a link to {os.readlink(path)}, which is not there.")


def meant(path: Path | str) -> str:
    """The file beside it whose name is most alike, as a question; nothing where none is."""
    folder, name = os.path.split(os.fspath(path))
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, _LOOKED_THROUGH)]
    except OSError:
        return ""
    close = get_close_matches(name, names, n=1, cutoff=0.75)
    return f" (did you mean {os.path.join(folder, close[0])}?)" if close else ""
