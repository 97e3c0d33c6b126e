"""Writing files so that they appear whole or not at all, and never over an input."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bncheck.errors import UsageError
from bncheck.vocabulary import argument

_OUT = argument("out")


@contextlib.contextmanager
def written_whole(path: Path, named: str = _OUT) -> Iterator[Path]:
    """A temporary file beside `path` to write to; it takes the place of `path` only once it is complete on disk.

    Args:
        path: the file to write.
        named: the argument that asked for it, as errors name it.

    Raises:
        UsageError: it cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{named} {path}: it cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):  # of a file system that can only be read even this is refused
            temporary.unlink(missing_ok=True)


def require_distinct(out: Path, inputs: Sequence[Path], named: str = _OUT) -> None:
    """Refuse an output that is one of the inputs, by whatever name, or that has no folder to stand in.

    Args:
        out: the file to write.
        inputs: the files that are read.
        named: the argument that asked for it, as errors name it.

    Raises:
        UsageError: it is, it has none, or it is a folder itself.
    """
    if any(_same(out, given) for given in inputs):
        raise UsageError(f"{named} {out}: that is one of the inputs, and inputs are never overwritten.")
    if out.is_dir():
        raise UsageError(f"{named} {out}: that is a folder; name a file in it.")
    if not out.resolve().parent.is_dir():
        raise UsageError(f"{named} {out}: there is no folder {out.parent}.")


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists() and one.samefile(other):
        return True
    return os.path.realpath(one) == os.path.realpath(other)
