"""Everything that a run writes, checked before any work is done: no input, no two in one place, no folder missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from bncheck.errors import UsageError
from bncheck.files.identity import is_special, same_file
from bncheck.files.inputs import InputFile, InputFiles
from bncheck.files.remote import remote_name
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that is going to be written.

    Attributes:
        option: what names it: an argument, marked, or words.
        path: where.
        replaces: roles of inputs that it may take the place of.
    """

    option: str
    path: Path
    replaces: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.option} {self.path}"


def require_free(outputs: Sequence[OutputFile], inputs: InputFiles) -> None:
    """Refuse outputs that would be written over an input, whatever it is called there, or over one another.

    Raises:
        UsageError: one would.
    """
    for output in outputs:
        found = inputs.at(output.path, but=output.replaces)
        if found is not None:
            raise UsageError(f"{output}: {_taken_by(found, output)}")
    for one, other in combinations(outputs, 2):
        if same_file(one.path, other.path) and not is_special(one.path):
            reports = one.option == other.option == argument("report")
            both = "two reports cannot go to the same file" if reports else None
            raise UsageError(f"{other}: {both or f'{one.option} goes to that file too'}.")


def require_ordinary(path: Path, option: str = argument("out")) -> None:
    """Refuse a device or a pipe where a file takes the place of what is there: it would be gone.

    Raises:
        UsageError: it is one.
    """
    if is_special(path):
        raise UsageError(f"{option} {path}: that is a device or a pipe, and a model needs a file; name one.")


def require_place(path: Path, option: str = argument("out")) -> None:
    """Refuse a path that no file can have.

    Raises:
        UsageError: it is a folder, or lies in none.
    """
    if path.is_dir():
        raise UsageError(f"{option} {path}: that is a folder; name a file in it.")
    if not path.resolve().parent.is_dir():
        raise no_folder(path, option)


def no_folder(path: Path, option: str = argument("out")) -> UsageError:
    """The error of a file that lies in no folder of this machine."""
    if (name := remote_name(path)) is not None:
        return UsageError(
            f"{option} {name}: files are written on this machine alone; name one here, and copy it there."
        )
    return UsageError(f"{option} {path}: there is no folder {path.parent}.")


def _taken_by(found: InputFile, output: OutputFile) -> str:
    if found.path.is_dir():
        return f"that is in {found.path}, which is read as {found.role}: inputs are never written to."
    name = "" if found.path == output.path else f"{found.path}, "
    return f"that is one of the inputs ({name}read as {found.role}), and inputs are never overwritten."
