"""Which file a path means, whatever it is called there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

FileId = tuple[int, int]
"""Device and inode."""


def file_id(path: str | Path) -> FileId | None:
    """The device and inode behind `path`, links followed; `None` where there is nothing, or no path at all."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # a null character, or a name that the file system cannot have
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def same_file(one: Path, other: Path) -> bool:
    """Whether both are one file: by device and inode where they exist, else by where they would come to lie."""
    first, second = file_id(one), file_id(other)
    if first is not None and second is not None:
        return first == second
    return _place(one) == _place(other)


def is_special(path: Path) -> bool:
    """Whether `path` is a device or a pipe, such as `/dev/null`: whatever is written there replaces nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def lies_in(path: Path, folder: Path) -> bool:
    """Whether `path` is, or would be, in `folder` at any depth."""
    wanted = file_id(folder)
    above = Path(os.path.realpath(path)).parents
    return wanted is not None and any(file_id(parent) == wanted for parent in above)


def holds(folder: Path, wanted: FileId) -> bool:
    """Whether a file or folder below `folder` is `wanted`, also through links; each folder is looked into once."""
    return any(file_id(path) == wanted for path in _walk(folder, wanted))


def _walk(folder: Path, wanted: FileId) -> Iterator[str]:
    """What may be `wanted`: links, and what has its inode in the folder's listing. No other file is looked at."""
    waiting, met = [str(folder)], set[FileId]()
    while waiting:
        inner = waiting.pop()
        identity = file_id(inner)
        if identity is None or identity in met:
            continue
        met.add(identity)
        try:
            with os.scandir(inner) as entries:
                for entry in entries:
                    linked = entry.is_symlink()
                    if linked or entry.inode() == wanted[1]:
                        yield entry.path
                    if os.path.isdir(entry.path) if linked else entry.is_dir():
                        waiting.append(entry.path)
        except OSError:
            continue  # nothing in it can be read by this run either


def _place(path: Path) -> tuple[FileId | None, str]:
    """The folder and the name where it lies, folders by what they are: they may have several names."""
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):
        real = path.absolute()
    folder = file_id(real.parent)
    return folder, os.path.normcase(real.name if folder is not None else real)
