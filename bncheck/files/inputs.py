"""Everything that a run reads, so that nothing it writes takes the place of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bncheck.files.identity import file_id, holds, lies_in, same_file
from bncheck.files.remote import remote_name

CODE = ".py"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file, or a folder, that is read.

    Attributes:
        path: where.
        role: as what: the argument that names it, marked, or words.
    """

    path: Path
    role: str

    def is_at(self, path: Path) -> bool:
        """Whether writing to `path` would change it; new files in a folder that is read would."""
        if not self.path.is_dir():
            return same_file(self.path, path)
        identity = file_id(path)
        return lies_in(path, self.path) or (identity is not None and holds(self.path, identity))


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The files of a run, however many arguments name them; `+` puts two collections together.

    Python's modules belong to it without being named: code that a run has imported by the time of a question is
    read too, and no file of Python code is ever an output's own.
    """

    files: tuple[InputFile, ...] = ()

    @classmethod
    def named(cls, values: Mapping[str, object]) -> InputFiles:
        """Those that arguments name, by role: paths, `FILE.py:CALLABLE` and `package.module:CALLABLE`.

        What is no text and no path (arrays, modules, `None`) is left out, and so are folders: they are data, or
        refused by whoever opens them.
        """
        found = cls.of_data(values)
        return cls(tuple(file for file in found.files if not file.path.is_dir()))

    @classmethod
    def of_data(cls, values: Mapping[str, object]) -> InputFiles:
        """The same of arguments that may name a folder: everything in it counts."""
        return cls(
            tuple(
                InputFile(path, role)
                for role, value in values.items()
                if isinstance(value, str | Path)
                for path in _paths(value)
            )
        )

    @classmethod
    def parts(cls, role: str, paths: Iterable[Path]) -> InputFiles:
        """Further files that the one called `role` consists of."""
        return cls(tuple(InputFile(path, f"a part of {role}") for path in paths))

    def __add__(self, other: InputFiles) -> InputFiles:
        return InputFiles((*self.files, *other.files))

    def at(self, path: Path, *, but: frozenset[str] = frozenset()) -> InputFile | None:
        """The one that `path` would be written over, those in the roles `but` left out; `None` where there is none."""
        known = next((file for file in self.files if file.role not in but and file.is_at(path)), None)
        return known or _imported(path)


def _paths(value: str | Path) -> Iterator[Path]:
    """The path, and the file of the code that it names if it names some; nothing of what lies elsewhere."""
    if remote_name(value) is not None:
        return
    yield Path(value)
    location, separator, _ = str(value).rpartition(":")
    if not separator or not location:
        return
    yield Path(location)
    if not location.endswith(CODE):
        yield from _module_files(location)


def _module_files(name: str) -> Iterator[Path]:
    """Where a module and its packages may stand; finding it in Python's own way would already run the packages."""
    parts = name.split(".")
    for folder in dict.fromkeys((os.getcwd(), *sys.path)):
        for depth in range(1, len(parts) + 1):
            place = Path(folder, *parts[:depth])
            yield from (
                path for path in (Path(f"{place}{CODE}"), place / f"__init__{CODE}") if file_id(path) is not None
            )


def _imported(path: Path) -> InputFile | None:
    """The code of a module that is loaded, or other Python code that stands at `path`."""
    identity = file_id(path)
    if identity is None:
        return None
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file_id(file) == identity:
            return InputFile(Path(file), f"the code of {name}")
    is_code = CODE in (path.suffix.lower(), Path(os.path.realpath(path)).suffix.lower())
    return InputFile(Path(os.path.realpath(path)), "Python code") if is_code else None
