"""Models of several files: which of them leads to the others."""

from __future__ import annotations

from pathlib import Path

from bncheck.formats.registry import known_formats
from bncheck.formats.sharded.shards import index_of


def leading_file(path: Path) -> Path:
    """The file that tells of all others, for a folder or one of several shards that was named; else the path itself."""
    if not path.is_dir():
        return index_of(path) or path
    return next((file for one in known_formats() if (file := one.leading(path)) is not None), path)
