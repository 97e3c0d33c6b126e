"""The file a model came from: what belongs to it, and how it is written again."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bncheck.errors import ModelError
from bncheck.formats.format import Container
from bncheck.results import Note
from bncheck.tensors import torch

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

    def require_writable(self) -> None:
        """Raise ModelError where such a file is read and never written again."""
        return

    @abc.abstractmethod
    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `Backend.write`."""

    def label_as_data_free(self, target: Path) -> None:
        """Write into a file that was just written that its statistics were made without data, where it has a place."""
        return

    def write_by_instance(
        self, model: Backend, layers: Sequence[str], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `Backend.write_by_instance`; what is not known to be changeable so is refused."""
        raise ModelError(by_instance_refused(self.path, layers, "its layers are part of the program"))


def by_instance_refused(path: Path, layers: Sequence[str], why: str) -> str:
    """Why a file is not written with layers that normalize by instance, and what to change instead."""
    return (
        f"{path} cannot be written so: {why}. Build {', '.join(layers)} with track_running_stats=False, load the "
        "checkpoint without the running_mean, running_var and num_batches_tracked of these layers, and export that."
    )
