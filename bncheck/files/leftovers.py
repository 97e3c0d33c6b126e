"""Folders to write into beside an output: each locked by its process, so that the next one can tell what died there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

_locks: Any = None
"""Python's module of locks; Windows has none, where nothing is locked and nothing removed."""
with contextlib.suppress(ImportError):
    import fcntl as _locks

_SUFFIX = ".partial"
_DRAWN = re.compile(r"[a-z0-9_]{8}")
"""What `tempfile` puts into a name."""


def locked_folder(place: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder `PREFIX*.partial` in `place`, and what holds its lock, to be closed at the end.

    The lock goes with the process, however it ends; `None` where the file system has none.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=place))
        try:
            lock = _opened(made, wait=True)
        except FileNotFoundError:  # another process has taken it for one that was left, before it was locked
            continue
        if lock is not None and not _is_at(made, lock):
            os.close(lock)
            continue
        return made, lock


def remove_left(place: Path, prefix: str) -> None:
    """Remove such folders of processes that were killed: those of this user's that nobody holds."""
    if _locks is None:
        return
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            drawn = entry.name.removeprefix(prefix).removesuffix(_SUFFIX)
            if entry.name != f"{prefix}{drawn}{_SUFFIX}" or not _DRAWN.fullmatch(drawn):
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                    _remove_unless_held(Path(entry.path))


def _remove_unless_held(folder: Path) -> None:
    lock = _opened(folder)
    if lock is None:
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _opened(folder: Path, *, wait: bool = False) -> int | None:
    """The folder, open and locked; `None` where it cannot be, since nothing can be locked there or another holds it.

    With `wait` that one is waited for: it has taken a folder that is being made for one that was left.

    Raises:
        FileNotFoundError: it is not there any more.
    """
    if _locks is None:
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _locks.flock(handle, _locks.LOCK_EX | (0 if wait else _locks.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


def _is_at(folder: Path, handle: int) -> bool:
    try:
        there, held = os.stat(folder, follow_symlinks=False), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
