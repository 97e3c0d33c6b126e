"""Files that are not there: said before anything is imported that takes time, with the name that was meant perhaps."""

from __future__ import annotations

import os
from pathlib import Path

from bncheck.discovery import meant
from bncheck.errors import UsageError
from bncheck.files.remote import remote_name


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
