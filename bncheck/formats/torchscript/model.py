"""TorchScript as a backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from bncheck.errors import UsageError
from bncheck.evidence import Advice
from bncheck.formats.programs.affine import Call, plain_operator, roles_of
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.formats.torchscript.graph import operator_calls, operator_kinds
from bncheck.formats.wiring.steps import Wiring
from bncheck.talk import ProgramOutput
from bncheck.vocabulary import argument

_PRODUCTS = ("quantized::conv", "quantized::linear", "mkldnn_convolution")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScriptBackend(ProgramBackend):
    """A scripted or traced module."""

    _output: ProgramOutput = field(default_factory=ProgramOutput)
    program: torch.jit.ScriptModule
    advice: ClassVar[Advice] = Advice(export_anew="Call model.eval() before torch.jit.trace, and save it again.")

    def module(self) -> torch.nn.Module:
        """Refuse: it is compiled."""
        raise UsageError(about_compiled(self.path))

    def prints_to(self) -> AbstractContextManager[Any]:
        """What a file prints is not what the user's own code prints: it is marked as the model's."""
        return self._output.active()

    def affine_calls(self) -> Iterator[Call]:
        """See `ProgramBackend.affine_calls`."""
        for kind, given in operator_calls(self.program):
            operator = plain_operator(kind)
            weight, bias = (given.get(role) for role in roles_of(operator or ""))
            if operator is not None and isinstance(weight, torch.Tensor):
                yield operator, weight, bias, given

    def wiring(self) -> Wiring | None:
        """See `Backend.wiring`."""
        from bncheck.formats.torchscript.wiring import wiring_of_script

        return wiring_of_script(self.program, self.tensor_names)

    def names_of_operators(self) -> Iterator[str]:
        """See `ProgramBackend.names_of_operators`."""
        return iter(operator_kinds(self.program))

    def names_of_products(self) -> Iterator[str]:
        """See `ProgramBackend.names_of_products`; a product with a constant matrix is one too."""
        for kind in operator_kinds(self.program):
            if any(product in kind for product in _PRODUCTS):
                yield kind
        for kind, given in operator_calls(self.program):
            matrix = given.get("other") if kind in ("aten::matmul", "aten::mm") else None
            if isinstance(matrix, torch.Tensor) and matrix.dim() == 2:
                yield "matmul"


def require_not_compiled(module: torch.nn.Module) -> None:
    """Raise UsageError where a part of `module` is TorchScript, which cannot be trained."""
    if any(isinstance(child, torch.jit.ScriptModule) for child in module.modules()):
        raise UsageError(about_compiled(f"The {type(module).__name__}"))


def about_compiled(what: str) -> str:
    """Why TorchScript is not trained, and what to pass instead."""
    return (
        f"{what} is TorchScript, compiled for inference, and cannot be fine-tuned: pass the checkpoint it was made "
        f"from (a state dict with {argument('arch')}, or a .pt2), and script the repaired model."
    )
