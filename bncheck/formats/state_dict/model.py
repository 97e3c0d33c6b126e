"""A state dict without its architecture as a backend: to be audited, not run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from bncheck.errors import UsageError
from bncheck.evidence import Advice
from bncheck.formats.backend import Backend
from bncheck.formats.folders.hugging_face import PACKAGE
from bncheck.formats.folding import AffineOperation
from bncheck.formats.programs.affine import operation_of
from bncheck.formats.state_dict.known import known_architecture
from bncheck.tensors import torch
from bncheck.vocabulary import argument
from bncheck.watch import Session

_PLANE, _COLOURS = 4, 3
"""Axes of the weights of a convolution over a plane, and channels of pictures in colour."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TensorsBackend(Backend):
    """Tensors alone.

    Attributes:
        held: by their names in the file, without the prefixes of wrappers.
        quantized: weights among them, or packed beside them, are.
    """

    held: Mapping[str, torch.Tensor]
    quantized: bool = False
    runnable: ClassVar[bool] = False
    advice: ClassVar[Advice] = Advice(
        can_be_trained=True,
        lost="it was folded into them, or its statistics were not saved",
        recovered=(
            f"Name the architecture with {argument('arch')}: it shows whether statistics are missing. Else inspect the "
            "checkpoint."
        ),
        recover="inspect --arch FILE.py:CALLABLE",
        identity=(
            f"{argument('arch', 'FILE.py:CALLABLE')} tells: name the architecture. A frozen class was folded on "
            "purpose; a class that training updates never was updated, and its statistics are to be measured on "
            "training data."
        ),
    )

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """See `Backend.tensors`."""
        return self.held

    def is_quantized(self) -> bool:
        """See `Backend.is_quantized`."""
        return self.quantized

    def hidden_forms(self) -> tuple[str, ...]:
        """See `Backend.hidden_forms`."""
        return ("quantized",) if self.quantized else ()

    def session(self, source_name: str, seed: int) -> AbstractContextManager[Session]:
        """Refuse: there is nothing to run."""
        raise UsageError(self._advice(f"run on {source_name}", ""))

    def require_runnable(self, otherwise: str) -> None:
        """Refuse, and say how the architecture is named."""
        raise UsageError(self._advice("run on data", f", or {otherwise}"))

    def _advice(self, what: str, otherwise: str) -> str:
        return (
            f"{self.path} holds tensors only and cannot be {what}: name the architecture with "
            f"{argument('arch', 'FILE.py:CALLABLE')} (a function that returns the nn.Module; in Python "
            f"the function itself will do){otherwise}.{self._proposed()}"
        )

    def _proposed(self) -> str:
        """What to type for an architecture that is known by its names."""
        known = known_architecture(self.held, self.path)
        return "" if known is None else f" Its names are those of {PACKAGE}.{known.name}: {known.proposal}."

    def module(self) -> torch.nn.Module:
        """Refuse: there is no module."""
        raise UsageError(
            f"{self.path} holds tensors only: name the architecture with {argument('arch', 'FILE.py:CALLABLE')}, or "
            f"in Python with the function itself, to fine-tune it.{self._proposed()}"
        )

    def operations(self) -> tuple[AffineOperation, ...]:
        """What looks like a convolution's or a linear layer's weight, with its bias."""
        return tuple(self._operations())

    def first_operation(self) -> AffineOperation | None:
        """See `Backend.first_operation`: a convolution of three channels, if there is one, else the first.

        Some writers sort the names, and of convolutions with three inputs the first in the network is the only one.
        """
        colours = [name for name, tensor in self.held.items() if tensor.dim() == _PLANE and tensor.shape[1] == _COLOURS]
        return next(self._operations(colours if len(colours) == 1 else None), None)

    def _operations(self, names: Collection[str] | None = None) -> Iterator[AffineOperation]:
        return (
            operation_of("convolution", name, tensor, self.held.get(name.removesuffix("weight") + "bias"), {})
            for name, tensor in self.held.items()
            if name.endswith("weight") and tensor.is_floating_point() and tensor.dim() >= 2 and tensor.numel()
            if names is None or name in names
        )
