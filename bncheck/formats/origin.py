"""The file a model came from: what belongs to it, and how it is written again."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bncheck.formats.format import Container
from bncheck.results import Note

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Origin(abc.ABC):
    """A file, and the writer of its container.

    Attributes:
        path: the file, in an index or a model with external data the one that leads to the others.
        container: what kind of file it is.
    """

    path: Path
    container: Container

    def files(self) -> tuple[Path, ...]:
        """Every file the model consists of, the one that was named first."""
        return (self.path,)

    @abc.abstractmethod
    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `Backend.write`."""
