"""Services that know the repository alone hear where the model lies in it."""

from __future__ import annotations

import os
from pathlib import Path


def path_from_here(path: str) -> Path:
    """The path relative to the current folder where it lies in it, so that it is the same on every machine."""
    given = Path(path)
    if not given.is_absolute():
        return given
    here, real = Path(os.path.realpath(Path.cwd())), Path(os.path.realpath(given))
    return real.relative_to(here) if real.is_relative_to(here) else given
