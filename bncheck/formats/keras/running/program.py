"""A built Keras model as a program that is called with a batch's inputs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bncheck.formats.keras.running.library import keras_module
from bncheck.formats.keras.running.watching import watched
from bncheck.formats.programs.affine import Call
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.formats.programs.tap import Tap

_IMAGES = 4
_ENCLOSING = re.compile(r"\x1b\[\d*m|Exception encountered when calling [^\n]*|Arguments received by .*", re.DOTALL)
"""What Keras puts around the sentence that tells why a layer refused its input."""
_WHOLE_TENSOR = re.compile(r" for input tensor\(.*\) with name '[^']*' and path '[^']*'")


class Called(torch.nn.Module):
    """Hands a batch to a Keras model in the structure it takes: one tensor, a list, or a dictionary.

    Images that were read from files come as (N, C, H, W), and most models of Keras take (N, H, W, C): channels are
    moved where the inputs, as declared, fit no other way.
    """

    moves_channels = True
    """So that nobody is told to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        inputs = getattr(model, "inputs", None)
        declared = inputs if isinstance(inputs, list) else []
        self._shapes: list[tuple[int | None, ...]] = [tuple(one.shape) for one in declared]
        self._names = [str(one.name) for one in declared]

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the model gives, in evaluation."""
        if named:
            shapes = dict(zip(self._names, self._shapes, strict=True))
            return self._given({name: _fitting(value, shapes.get(name)) for name, value in named.items()})
        known = self._shapes if len(self._shapes) == len(inputs) else [None] * len(inputs)
        taken = [_fitting(value, shape) for value, shape in zip(inputs, known, strict=True)]
        return self._given(taken[0] if len(taken) == 1 else taken)

    def _given(self, taken: Any) -> Any:
        try:
            return self.model(taken)
        except ValueError as error:
            declared = zip(self._names, self._shapes, strict=True)
            takes = ", ".join(f"{name} {str(shape).replace('None', 'N', 1)}" for name, shape in declared)
            raise ValueError(f"{_sentence(error)}. It takes {takes}" if takes else _sentence(error)) from error


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KerasProgram(ProgramBackend):
    """What a session runs.

    Attributes:
        norms: the batch normalization layers by their names.
        device: where it lies.
    """

    norms: Mapping[str, Any]
    device: str

    def affine_calls(self) -> Iterator[Call]:
        """None: no layer is folded into a model that Keras built."""
        return iter(())

    def names_of_products(self) -> Iterator[str]:
        """None, see `affine_calls`."""
        return iter(())

    @contextlib.contextmanager
    def watched(self, tap: Tap) -> Iterator[None]:
        """See `ProgramBackend.watched`: the layers are Keras', and so is the place where tensors are made meanwhile."""
        with keras_module().device(self.device), watched(self.norms, tap):
            yield


def _sentence(error: ValueError) -> str:
    return _WHOLE_TENSOR.sub("", " ".join(_ENCLOSING.sub("", str(error)).split())).rstrip(".")


def _fitting(value: Any, shape: Sequence[int | None] | None) -> Any:
    """An image batch with its channels where the model declares them."""
    if not isinstance(value, torch.Tensor) or shape is None or value.dim() != _IMAGES or len(shape) != _IMAGES:
        return value
    moved = value.permute(0, 2, 3, 1)
    return moved if not _fits(value, shape) and _fits(moved, shape) else value


def _fits(value: torch.Tensor, shape: Sequence[int | None]) -> bool:
    return all(wanted in (None, length) for wanted, length in zip(shape[1:], value.shape[1:], strict=True))
