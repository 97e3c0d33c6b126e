"""What a file is, judged by its content; suffixes lie (`.pt` alone is four formats)."""

from __future__ import annotations

from pathlib import Path

from bncheck.errors import ModelError
from bncheck.files import require_existing
from bncheck.formats.format import Container, Format
from bncheck.formats.recognition.file_start import HEAD, FileStart
from bncheck.formats.recognition.foreign import about_folder, about_unknown, foreign_file
from bncheck.formats.registry import known_formats


def recognise(path: Path) -> Container:
    """What kind of file `path` is; see `format_of`."""
    return format_of(path)[1]


def format_of(path: Path) -> tuple[Format, Container]:
    """The format that knows a file, and what kind of file it is.

    Raises:
        UsageError: there is no such file.
        ModelError: it is something else; the message says what it looks like and what to do.
    """
    formats = known_formats()
    start = _start_of(path, formats)
    if (meaning := foreign_file(start.head)) is not None:
        raise ModelError(f"{path} is {meaning}.")
    for one in formats:
        if (container := one.recognise(start)) is not None:
            return one, container
    raise ModelError(about_unknown(start, [one.title for one in formats if one.title]))


def _start_of(path: Path, formats: tuple[Format, ...]) -> FileStart:
    require_existing(path)
    if path.is_dir():
        suffixes = {suffix for one in formats for container in one.containers for suffix in container.suffixes}
        raise ModelError(about_folder(path, suffixes))
    if not path.is_file():  # a pipe or a device may never end, or wait for ever
        raise ModelError(f"{path} is no ordinary file, and a model is read more than once: copy it into one first.")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise ModelError(f"{path} is empty (0 bytes): was it saved or copied completely?")
    return FileStart(path, head)
