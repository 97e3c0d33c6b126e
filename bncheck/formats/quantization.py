"""What is quantized: told by the operators a program calls, the classes it is made of, and the types of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bncheck.tensors import torch

_STEPS = (
    *("quantized::", "quantized.", "quantized_", "quantize_per_", "fake_quantize", "dequantize"),
    *("quantizelinear", "dynamicquantize", "qlinear", "qgemm", "qattention", "matmulnbits"),
    *("convinteger", "matmulinteger"),
)
"""What stands in the names of operators and classes that compute in steps, in lower case; fake ones round alike."""
_FLOAT = ("FloatFunctional", "FXFloatFunctional")
"""Classes that stand among the quantized ones and compute in floats: models that may yet be quantized hold them."""
_SMALL = (torch.int8, torch.uint8)


def computes_in_steps(names: Iterable[str]) -> bool:
    """Whether one of these operators or classes quantizes, or takes what is quantized.

    Args:
        names: of operators as their runtime has them (`quantized::conv2d`, `aten::quantize_per_tensor`,
            `QLinearConv`), and modules of classes of PyTorch's own (`torch.ao.nn.quantized.modules.conv`).
    """
    return any(part in name.lower() for name in names for part in _STEPS)


def class_of(module: torch.nn.Module) -> str:
    """A module's class with where it was defined; empty for what is not PyTorch's own: names there mean anything."""
    kind = type(module)
    is_known = kind.__module__.startswith(("torch.", "torchao.")) and kind.__name__ not in _FLOAT
    return f"{kind.__module__}.{kind.__name__}" if is_known else ""


def holds_quantized(values: Mapping[str, Any]) -> bool:
    """Whether weights are stored in numbers of 8 bits or less; packed ones are pairs of a weight and a bias.

    Integers that are no weights are masks, counters and positions.
    """
    return any(_is_quantized(name, value) for name, value in values.items())


def packed_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """What quantized layers keep in a state dict besides tensors: their weights and biases in tuples, and a type."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, torch.dtype) or (isinstance(value, tuple) and _is_quantized(name, value))
    }


def shape_of(value: Any) -> torch.Size:
    """The shape of a tensor, or of the weight in a packed value."""
    held = value[0] if isinstance(value, tuple) else value
    return held.shape if isinstance(held, torch.Tensor) else torch.Size()


def _is_quantized(name: str, value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_is_quantized(name, part) for part in value)
    if not isinstance(value, torch.Tensor):
        return False
    is_weight = value.dim() >= 2 and "weight" in name.rpartition(".")[2]
    return value.is_quantized or "quantized" in type(value).__name__.lower() or (is_weight and value.dtype in _SMALL)
