"""Files that are not there: said before anything is imported that takes time, with the name that was meant perhaps."""

from __future__ import annotations

import os
from pathlib import Path

from bncheck.discovery import meant
from bncheck.errors import UsageError
from bncheck.files.remote import remote_name
from bncheck.vocabulary import argument

_DATA = argument("data")


def require_existing(*paths: Path | str | None) -> None:
    """Raise UsageError where one of the paths leads nowhere; `None` was not given."""
    for path in paths:
        if path is not None and (name := remote_name(path)) is not None:
            raise UsageError(
                f"{name} lies elsewhere, which is read by inspect, audit, diff and repair: copy it here first."
            )
        if path is not None and not os.path.lexists(path):
            raise UsageError(f"There is no file {path}{meant(path)}.")
        if path is not None and not os.path.exists(path):
            raise UsageError(f"There is no file {path}: it is a link to {os.readlink(path)}, which is not there.")


def require_named(source: object, named: str = _DATA) -> None:
    """Raise UsageError where data are named by a file or folder that does not exist; reads and imports nothing.

    Args:
        source: a path, a callable by its name, or what is in memory.
        named: the argument that asked for them, as errors name it.
    """
    if not isinstance(source, str | Path) or os.path.exists(source) or remote_name(source) is not None:
        return
    location = str(source).rpartition(":")[0]
    if not location or (location.endswith(".py") and not os.path.isfile(location)):
        raise UsageError(f"{named}: there is no file or folder {location or source}{meant(location or source)}.")
