"""What all torch programs share as backends: they are tapped, and their tensors are known by their storage."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.nn.modules.dropout import _DropoutNd

from bncheck.formats.backend import Backend
from bncheck.formats.folding import AffineOperation
from bncheck.formats.programs.affine import Call, operations_of_calls
from bncheck.formats.programs.hooks import custom_norms
from bncheck.formats.programs.running.session import TorchSession
from bncheck.formats.programs.tap import Tap
from bncheck.formats.quantization import class_of, computes_in_steps, holds_quantized
from bncheck.formats.tensors import coarsest_precision
from bncheck.user_code import user_output_to_stderr
from bncheck.watch import Session

_HIDDEN = ("quantized", "mkldnn", "matmul")
"""Forms of products whose weights are not compared, as they stand in the names of operators and classes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProgramBackend(Backend, abc.ABC):
    """A model that PyTorch runs.

    Attributes:
        program: bncheck's own copy, in eval mode, to be called with a batch's inputs.
        tensor_names: name of every parameter and buffer by storage address (`Tensor.data_ptr()`);
            it identifies the layer of a normalization call.
        autocast: the type of mixed precision that it is run in; `None` for its own types.
    """

    program: torch.nn.Module
    tensor_names: Mapping[int, str] = field(default_factory=dict)
    autocast: torch.dtype | None = None

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Parameters and buffers, as the program's state dict names them."""
        held = self.program.state_dict()
        return {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}

    @contextlib.contextmanager
    def session(self, source_name: str, seed: int) -> Iterator[Session]:
        """See `Backend.session`: the tap, with hooks for the layers it cannot see."""
        session = TorchSession(self, source_name)
        with session.attached(seed):
            yield session

    def module(self) -> torch.nn.Module:
        """The program itself."""
        return self.program

    def prints_to(self) -> AbstractContextManager[Any]:
        """Where what the program prints goes while it runs: code of the user's own talks on stderr."""
        return user_output_to_stderr()

    def watched(self, tap: Tap) -> AbstractContextManager[Any]:
        """What has `tap` see the layers that call no normalizing operator, until the end."""
        return custom_norms(self.program, tap)

    def dropouts(self) -> tuple[torch.nn.Module, ...]:
        """Those that drop anything; scripts and graphs of operators have none that can be switched."""
        return tuple(module for module in self.program.modules() if isinstance(module, _DropoutNd) and module.p > 0)

    def operations(self) -> tuple[AffineOperation, ...]:
        """See `Backend.operations`."""
        return tuple(operations_of_calls(self.affine_calls(), self.tensor_names))

    def first_operation(self) -> AffineOperation | None:
        """See `Backend.first_operation`."""
        return next(operations_of_calls(self.affine_calls(), self.tensor_names), None)

    def hidden_forms(self) -> tuple[str, ...]:
        """See `Backend.hidden_forms`."""
        names = list(self.names_of_products())
        return tuple(form for form in _HIDDEN if any(form in name for name in names))

    @abc.abstractmethod
    def affine_calls(self) -> Iterator[Call]:
        """Every call of a convolution or linear layer whose weight is known before the program runs."""

    @abc.abstractmethod
    def names_of_products(self) -> Iterator[str]:
        """Names of the operators or classes by which products with weights may be computed."""

    def names_of_operators(self) -> Iterator[str]:
        """Names of all operators that the program calls, as far as they are known before it runs; of modules none."""
        return iter(())

    def is_quantized(self) -> bool:
        """See `Backend.is_quantized`."""
        classes = (class_of(module) for module in self.program.modules())
        return computes_in_steps([*self.names_of_operators(), *classes]) or holds_quantized(self.program.state_dict())

    def coarsest_type(self) -> float:
        """See `Backend.coarsest_type`."""
        held = coarsest_precision([*self.program.parameters(), *self.program.buffers()])
        return held if self.autocast is None else max(held, torch.finfo(self.autocast).eps)

    def in_mixed_precision(self, kind: str) -> Backend:
        """See `Backend.in_mixed_precision`."""
        return replace(self, autocast=getattr(torch, kind))
