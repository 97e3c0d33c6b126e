"""Eager modules as backends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from bncheck.evidence import Advice
from bncheck.formats.programs.affine import Call
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.formats.quantization import class_of
from bncheck.formats.wiring.steps import Wiring


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ModuleBackend(ProgramBackend):
    """A module of Python code."""

    advice: ClassVar[Advice] = Advice(can_be_trained=True)

    def affine_calls(self) -> Iterator[Call]:
        """See `ProgramBackend.affine_calls`: by the modules there are, called or not."""
        for module in self.program.modules():
            if isinstance(module, _ConvNd):
                transposed = isinstance(module, _ConvTransposeNd)
                yield "convolution", module.weight, module.bias, {"transposed": transposed, "groups": module.groups}
            elif isinstance(module, nn.Linear):
                yield "linear", module.weight, module.bias, {}

    def wiring(self) -> Wiring | None:
        """See `Backend.wiring`: by a forward on tensors without values."""
        from bncheck.formats.tracing.recording import wiring_of_module  # most audits have no module

        stored = [layer.name for layer in self.layers if layer.has_statistics]
        return wiring_of_module(self.program, self.tensor_names, stored)

    def names_of_products(self) -> Iterator[str]:
        """See `ProgramBackend.names_of_products`."""
        return map(class_of, self.program.modules())
