"""What a format is: how its files are told by their content, how they are opened, and which modules it adopts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncheck.results import ArgumentIgnored, Note
from bncheck.tensors import torch

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

Architecture = str | Callable[..., Any]
"""``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, a callable, or a module."""

TORCH_SUFFIXES = (".pt", ".pth", ".th", ".ckpt", ".tar", ".bin", ".pt2")
"""What files that PyTorch writes are called, whatever is in them."""


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file.

    Attributes:
        name: as messages call it, a noun without an article: `safetensors index`.
        suffixes: what its files' names end in, the usual suffix first.
        in_parts: its file leads to others that hold the tensors, so a folder may be named for all of them.
    """

    name: str
    suffixes: tuple[str, ...]
    in_parts: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is to be opened, and how.

    Attributes:
        path: the file.
        container: what it is.
        arch: what builds the network of a state dict.
        arch_kwargs: keyword arguments for `arch`.
        key: dotted path of the state dict inside a checkpoint that holds several.
        trust_pickle: read pickles that hold more than tensors; this runs whatever they contain.
        device: where the program is run.
        allow_ops: operators that a program may call besides those that compute.
    """

    path: Path
    container: Container
    arch: Architecture | None = None
    arch_kwargs: Mapping[str, Any] | None = None
    key: str | None = None
    trust_pickle: bool = False
    device: str = "cpu"
    allow_ops: frozenset[str] = frozenset()

    def ignored(self) -> tuple[Note, ...]:
        """Notes on what was given and a file that holds its own program has no use for."""
        given = (("arch", self.arch), ("key", self.key))
        return tuple(ArgumentIgnored(name, self.container.name) for name, value in given if value)


@dataclass(frozen=True, slots=True, eq=False)
class Adoption:
    """Where a module that becomes a backend comes from, and where it is to run.

    Attributes:
        path: the file, or the class name of a module handed over in Python.
        sha256: of the file; `None` for a module handed over in Python.
        device: where it is run.
        notes: what was chosen on the way in.
    """

    path: str
    sha256: str | None = None
    device: str = "cpu"
    notes: tuple[Note, ...] = ()


class Format:
    """A format, found by its folder: a package under `bncheck.formats` that defines an instance as `FORMAT`.

    The package itself imports nothing heavy: it is imported for every file, to be asked whether the file is its own.
    What opening and running take is imported by `open` and `adopt`.

    Attributes:
        name: the contract's name, `model.format` in reports.
        title: what is read, in words, for the message about files that no format knows.
        rank: formats are asked in this order; one that tells its own from fewer bytes comes later.
        containers: every kind of file it knows.
    """

    name: str
    title: str = ""
    rank: int = 100
    containers: tuple[Container, ...] = ()

    def recognise(self, start: FileStart) -> Container | None:
        """Which of its containers the file is, by its content alone; `None` where it is none of them."""
        return None

    def leading(self, folder: Path) -> Path | None:
        """The file for which a folder may be named, because it leads to all others; `None` where there is none."""
        return None

    def open(self, request: Request) -> Backend:
        """The model in a file that it recognised.

        Raises:
            UsageError: what was asked for is not there, or an argument is missing.
            ModelError: the file is damaged, blocked, or does not fit.
        """
        raise NotImplementedError(f"{self.name} is read from no file of its own")

    def parts(self, path: Path, container: Container) -> tuple[Path, ...]:
        """Further files that a file of its own names, in the order it names them, whether or not they are there.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged.
        """
        return ()

    def parts_written(self, path: Path, container: Container, target: Path, *, beside: bool) -> tuple[Path, ...]:
        """The files that `target` is going to consist of besides, when the model at `path` is written again.

        With `beside` it lies in the folder of the original.
        """
        return ()

    def holds(self, value: Any) -> bool:
        """Whether an object in memory is a model of this format."""
        return False

    def copied(self, value: Any) -> torch.nn.Module:
        """A module with the content of `value` that shares nothing with it; whatever cannot be copied raises."""
        raise NotImplementedError(f"{self.name} is not taken from memory")

    def adopt(self, own: Any, source: Adoption) -> Backend:
        """The backend of a module that is bncheck's own already."""
        raise NotImplementedError(f"{self.name} is not taken from memory")
