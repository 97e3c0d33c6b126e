"""InstanceNorm in the code of a TorchScript program made to normalize by the instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

_OPERATOR = "aten::instance_norm"
_MEAN, _VAR, _BY_INPUT = 3, 4, 5
"""Places of `running_mean`, `running_var` and `use_input_stats` among the operator's inputs."""


def normalize_by_instance(program: torch.jit.ScriptModule) -> None:
    """Have every InstanceNorm take the statistics of its input and no stored ones.

    Modules of one class share their code, and all of them the function that calls the operator, so the calls are taken
    into the program's own code before. The stored statistics stay in the archive: nothing refers to them any more.
    """
    graph = program._c._get_method("forward").graph
    torch._C._jit_pass_inline(graph)
    for node in [node for node in _nodes(graph) if node.kind() == _OPERATOR]:
        nothing, yes = graph.create("prim::Constant"), graph.create("prim::Constant")
        nothing.output().setType(torch._C.NoneType.get())
        yes.i_("value", 1)
        yes.output().setType(torch._C.BoolType.get())
        for constant in (nothing, yes):
            constant.insertBefore(node)
        for place, constant in ((_MEAN, nothing), (_VAR, nothing), (_BY_INPUT, yes)):
            node.replaceInput(place, constant.output())
    torch._C._jit_pass_dce(graph)


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)
