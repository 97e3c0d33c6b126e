"""The convolutions and linear layers of torch programs, read from their calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bncheck.formats.folding import AffineOperation
from bncheck.formats.tensors import channel_values, epsilon_of, plain, same_storage
from bncheck.tensors import torch

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
LINEAR = ("linear", "addmm")
_ROLES = {"addmm": ("mat2", "self")}
"""Which arguments are weight and bias, where they are not called so."""

Call = tuple[str, torch.Tensor, torch.Tensor | None, Mapping[str, Any]]
"""The operator's plain name, its weight and bias, and its arguments by name."""


def operations_of_calls(calls: Iterable[Call], names: Mapping[int, str]) -> Iterator[AffineOperation]:
    """Every convolution and linear layer with weights of its own, those with the same weights once, as it is reached.

    Args:
        calls: of a program.
        names: its tensors' names by storage address.
    """
    found: set[int] = set()
    for operator, weight, bias, given in calls:
        address = weight.data_ptr()
        if address not in found and weight.is_floating_point() and weight.dim() >= 2 and weight.numel():
            name = names.get(address, f"{operator}_{len(found)}.weight")
            found.add(address)
            yield operation_of(operator, name, weight, bias, given)


def plain_operator(target: str) -> str | None:
    """`conv2d` for `aten.conv2d.default` and `aten::conv2d`; `None` for what multiplies by no weight."""
    name = target.replace("::", ".").removeprefix("aten.").partition(".")[0]
    return name if name in (*CONVOLUTIONS, *TRANSPOSED, *LINEAR) else None


def roles_of(operator: str) -> tuple[str, str]:
    """The names of the arguments that are weight and bias."""
    return _ROLES.get(operator, ("weight", "bias"))


def operation_of(
    operator: str, name: str, weight: torch.Tensor, bias: torch.Tensor | None, given: Mapping[str, Any]
) -> AffineOperation:
    """One call as a value.

    Args:
        operator: its plain name.
        name: of the weight, as the file has it.
        weight: as torch lays it out.
        bias: shape (O,).
        given: its other arguments, by name.
    """
    transposed = operator in TRANSPOSED or given.get("transposed") is True
    return AffineOperation(
        key=(same_storage(weight) or (name,))[0],
        name=name,
        weight=plain(weight).cpu().float().numpy(),
        bias=None if bias is None else channel_values(bias),
        transposed=transposed,
        groups=int(given.get("groups") or 1) if transposed else 1,
        precision=epsilon_of(weight.dtype),
    )
