"""Files that appear whole or not at all: written into a folder beside their destination, synced, then renamed.

A process that dies on the way leaves the input as it is, at worst a hidden folder `.NAME.*.partial`, which the next
one that writes there removes, and under the destination's name either nothing or a complete file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bncheck.errors import UsageError
from bncheck.files.identity import is_special
from bncheck.files.leftovers import locked_folder, remove_left
from bncheck.files.outputs import no_folder
from bncheck.vocabulary import argument

_ROOM = 2**20
_NAME = 40
"""How much of its destination's name a folder has in its own: both together must be a name that file systems take."""


@contextlib.contextmanager
def written_whole(path: Path, option: str = argument("out")) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` only once it is complete on disk.

    Devices and pipes (`/dev/null`) stay what they are: they are sent the whole at the end.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        if is_special(path):
            with tempfile.TemporaryDirectory(prefix="bncheck-") as folder:
                yield Path(folder) / "whole"
                path.write_bytes((Path(folder) / "whole").read_bytes())
            return
        if not path.parent.is_dir():
            raise no_folder(path, option)
        with staging(path, option) as made:
            yield made / path.name
            publish(made, path, option)
    except OSError as error:
        raise UsageError(f"{option} {path}: it cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def staging(out: Path, option: str = argument("out")) -> Iterator[Path]:
    """A folder to write `out` and what belongs to it into, on the same file system; it is removed at the end.

    Raises:
        UsageError: nothing can be written there.
    """
    folder = out.parent if out.parent.is_dir() else out.parent.parent
    prefix = f".{out.name[:_NAME]}."
    remove_left(folder, prefix)
    try:
        made, lock = locked_folder(folder, prefix)
    except (OSError, ValueError) as error:  # a null character
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option} {out}: it cannot be written: {reason}.") from error
    try:
        yield made
    except Exception as error:
        full = _why_nothing_more_fits(made)  # the libraries that write say it in words of their own, or not at all
        if full is None:
            raise
        raise UsageError(f"{option} {out}: it cannot be written: {full}.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def publish(staged: Path, out: Path, option: str = argument("out")) -> tuple[Path, ...]:
    """Move what lies in the folder `staged` beside `out`, which is among it and comes last; gives all the new files.

    Files that it consists of besides go first, and an old `out` goes before them: at no moment does `out` name a
    model with parts of another.

    Raises:
        UsageError: the files cannot be moved there.
    """
    parts = sorted(path.relative_to(staged) for path in staged.rglob("*") if path.is_file())
    main = Path(out.name)
    try:
        for part in parts:
            _sync_file(staged / part)
        if len(parts) > 1:
            out.unlink(missing_ok=True)
        for part in (*(part for part in parts if part != main), main):
            target = out.parent / part
            target.parent.mkdir(parents=True, exist_ok=True)
            (staged / part).replace(target)
            _sync_folder(target.parent)
    except OSError as error:
        raise UsageError(f"{option} {out}: it cannot be written: {error.strerror}.") from error
    return tuple(out.parent / part for part in parts)


def _why_nothing_more_fits(folder: Path) -> str | None:
    """What the file system says to a further mebibyte; `None` where it takes it."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _sync_file(path: Path) -> None:
    """Make sure that it is on the disk: some file systems tell only now that it is full."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make sure that its list of files is on the disk, where folders can be opened for that."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
