"""A Keras file as a backend: audited and compared as it is, rebuilt by Keras where it is to be run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from bncheck.errors import UsageError
from bncheck.evidence import Advice
from bncheck.formats.backend import Backend
from bncheck.formats.keras.running.rebuilt import Rebuilt
from bncheck.formats.keras.wiring.drawn import wiring_of_keras
from bncheck.formats.wiring.steps import Wiring
from bncheck.tensors import torch
from bncheck.vocabulary import argument
from bncheck.watch import Session

ADVICE = Advice(
    export_anew="Save the model again.",
    lost="it was folded into them, or left out of the file",
    recovered=f"Name the file from before the folding: {argument('reference')} model.keras. Or inspect that file.",
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KerasBackend(Backend):
    """What h5py and json read of a file, and how it is rebuilt.

    Attributes:
        held: the tensors by their names.
        rebuilt: what runs it, once it is asked for.
    """

    held: Mapping[str, torch.Tensor]
    rebuilt: Rebuilt
    packages: ClassVar[tuple[str, ...]] = ("keras", "h5py")
    advice: ClassVar[Advice] = ADVICE

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """See `Backend.tensors`."""
        return self.held

    def require_runnable(self, otherwise: str) -> None:
        """Refuse where the file does not say how it is built, or Keras is not there; nothing is built yet."""
        self.rebuilt.require(otherwise)

    @contextlib.contextmanager
    def session(self, source_name: str, seed: int) -> Iterator[Session]:
        """See `Backend.session`: Keras on PyTorch, watched at its layers."""
        with self.rebuilt.session(self, source_name, seed) as session:
            yield session

    def wiring(self) -> Wiring | None:
        """See `Backend.wiring`: by the configuration."""
        content = self.rebuilt.content
        return wiring_of_keras(content.config, content.owners, content.tensors)

    def module(self) -> torch.nn.Module:
        """Refuse: Keras trains its models itself."""
        raise UsageError(
            f"{self.path} is a Keras model, which is not fine-tuned here: train it in Keras, or recalibrate its "
            "statistics."
        )
