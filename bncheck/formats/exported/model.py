"""Exported programs as backends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch.fx import GraphModule

from bncheck.evidence import Advice
from bncheck.formats.exported.layers import arguments_of, tensor_of
from bncheck.formats.programs.affine import Call, plain_operator, roles_of
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.formats.wiring.steps import Wiring
from bncheck.talk import ProgramOutput


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GraphBackend(ProgramBackend):
    """A graph of operators."""

    _output: ProgramOutput = field(default_factory=ProgramOutput)
    program: GraphModule
    advice: ClassVar[Advice] = Advice(
        export_anew="Call model.eval() before torch.export.export, and save it again.", is_trained_on=False
    )

    def prints_to(self) -> AbstractContextManager[Any]:
        """What a file prints is not what the user's own code prints: it is marked as the model's."""
        return self._output.active()

    def affine_calls(self) -> Iterator[Call]:
        """See `ProgramBackend.affine_calls`."""
        for node in self.program.graph.nodes:
            operator = plain_operator(str(node.target)) if isinstance(node.target, torch._ops.OpOverload) else None
            if operator is None:
                continue
            given = arguments_of(node)
            weight, bias = (tensor_of(given.get(role), self.program) for role in roles_of(operator))
            if weight is not None:
                yield operator, weight, bias, given

    def wiring(self) -> Wiring | None:
        """See `Backend.wiring`."""
        from bncheck.formats.exported.wiring import wiring_of_graph

        return wiring_of_graph(self.program, self.tensor_names)

    def names_of_operators(self) -> Iterator[str]:
        """See `ProgramBackend.names_of_operators`."""
        return (str(node.target) for node in self.program.graph.nodes if node.op == "call_function")

    def names_of_products(self) -> Iterator[str]:
        """See `ProgramBackend.names_of_products`: all but the quantized ones are read."""
        return (str(node.target) for node in self.program.graph.nodes if "quantized" in str(node.target))
