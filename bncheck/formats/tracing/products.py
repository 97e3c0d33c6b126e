"""Convolutions and linear layers of torch programs as steps of a wiring."""

from __future__ import annotations

import torch

from bncheck.formats.tensors import plain
from bncheck.formats.tracing.values import Call, Value
from bncheck.formats.wiring.drawing import Drawing
from bncheck.formats.wiring.steps import Weighted
from bncheck.vocabulary import Unpredicted


def convolution(drawing: Drawing, call: Call) -> Value:
    """A convolution, transposed or not."""
    transposed = call.given.get("transposed") is True or "transpose" in call.operator
    padding = call.given.get("padding")
    padded = padding == "same" or (call.sizes("padding") is not None and any(call.sizes("padding") or ()))
    return _weighted(
        drawing,
        call,
        (call.tensor("weight"), call.given.get("bias")),
        groups=int(call.number("groups") or 1),
        padded=bool(padded) or transposed,
        transposed=transposed,
        strides=call.sizes("stride") or (),
    )


def linear(drawing: Drawing, call: Call) -> Value:
    """A linear layer of values that have channels alone."""
    if call.rank not in (None, 2):
        return Value(drawing.lost(Unpredicted.REARRANGED))
    return _weighted(drawing, call, (call.tensor("weight"), call.given.get("bias")))


def matrix_product(drawing: Drawing, call: Call) -> Value:
    """`addmm`, `mm` and `matmul` with a constant matrix behind."""
    is_sum = call.plain_name == "addmm"
    source = call.given.get("mat1" if is_sum else "self")
    matrix = call.tensor("mat2" if call.plain_name in ("addmm", "mm") else "other")
    if not isinstance(source, Value):
        return Value(drawing.lost())
    if is_sum and (call.number("alpha") not in (None, 1.0) or call.number("beta") not in (None, 1.0)):
        return Value(drawing.lost())
    if matrix is None or matrix.dim() != 2:
        return Value(drawing.lost(Unpredicted.MULTIPLIED))
    if not is_sum and call.rank not in (None, 2):
        return Value(drawing.lost(Unpredicted.REARRANGED))
    bias = call.given.get("self") if is_sum else None
    moved = Call(call.operator, {"input": source}, call.names, call.shapes)
    return _weighted(drawing, moved, (matrix.t(), bias))


def _weighted(
    drawing: Drawing,
    call: Call,
    held: tuple[torch.Tensor | None, object],
    *,
    groups: int = 1,
    padded: bool = False,
    transposed: bool = False,
    strides: tuple[int, ...] = (),
) -> Value:
    weight, bias = held
    source = call.source
    if source is None or weight is None or weight.is_meta or weight.dim() < 2 or not weight.is_floating_point():
        return Value(drawing.lost(Unpredicted.MULTIPLIED))
    if bias is not None and (not isinstance(bias, torch.Tensor) or bias.is_meta or bias.dim() != 1):
        return Value(drawing.lost(Unpredicted.MULTIPLIED))
    name = call.names.get(weight.data_ptr(), "") or call.plain_name
    values, offset = plain(weight), plain(bias) if isinstance(bias, torch.Tensor) else None
    return Value(drawing.put(Weighted(name, source.place, values, offset, groups, padded, transposed, strides)))
