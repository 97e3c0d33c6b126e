"""How precisely a model computes: the coarsest type of its tensors."""

from __future__ import annotations

import torch

from bncheck.formats.model import Model


def coarsest_precision(model: Model) -> float | None:
    """Spacing of the numbers around 1 in the coarsest type it computes in; `None` for a quantized model."""
    if model.graph is not None:
        from bncheck.formats.onnx.affine import coarsest_precision as of_graph  # other models do without onnx

        return of_graph(model.graph.proto)
    tensors = [] if model.program is None else [*model.program.parameters(), *model.program.buffers()]
    if any(tensor.is_quantized for tensor in tensors) or "quantized" in _class_names(model.program):
        return None
    return max((torch.finfo(tensor.dtype).eps for tensor in tensors if tensor.is_floating_point()), default=2.0**-23)


def _class_names(program: torch.nn.Module | None) -> str:
    return "" if program is None else " ".join(type(module).__module__ for module in program.modules())
