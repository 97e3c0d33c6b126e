"""What is tried: files, and a command that reads them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

OUT = "out"
"""The folder that a command may write into; it stands beside the files."""
STRUCTURE, BYTES = "structure", "bytes"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, and where it leads."""

    to: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """A named pipe that nobody writes to."""


Content = bytes | Link | Pipe
Files = Mapping[str, Content]


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """Files and a command.

    Attributes:
        format: of the hostile file.
        kind: `STRUCTURE` or `BYTES`.
        files: by their names, hostile and sound ones.
        typed: the command, without `bncheck`.
    """

    format: str
    kind: str
    files: Files
    typed: tuple[str, ...]

    def __repr__(self) -> str:
        """What Hypothesis prints: no megabytes."""
        return f"<{self.format}, {self.kind}: {self.shown[:300]}>"

    @property
    def shown(self) -> str:
        """The command as a line for a shell."""
        return shlex.join(("bncheck", *self.typed))

    def write(self, folder: Path) -> None:
        """Lay the files out in a folder."""
        (folder / OUT).mkdir(parents=True)
        for name, content in self.files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            match content:
                case bytes():
                    with open(path, "wb") as file:
                        file.write(content)
                case Link(to):
                    os.symlink(to, path)
                case Pipe():
                    os.mkfifo(path)


@dataclass(frozen=True, slots=True)
class Format:
    """A format, as the fuzzers know it.

    Attributes:
        name: as the table has it.
        role: what a command takes it for: model, data, report, baseline or configuration.
        main: the name of the file or folder that commands are given.
        sound: valid files, `main` among them, unless that is a folder.
        hostile: valid files with hostile values in them, which take the place of sound ones.
        options: what commands that run or read it need besides.
    """

    name: str
    role: str
    main: str
    sound: Files
    hostile: SearchStrategy[Files]
    options: tuple[str, ...] = ()
