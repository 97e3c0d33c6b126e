"""The convolutions and linear layers of torch programs: modules, graphs of operators, TorchScript."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from bncheck.formats.exported.reading import runs_operators
from bncheck.formats.folding import AffineOperation
from bncheck.formats.programs.graph_layers import arguments_of, tensor_of
from bncheck.formats.tensors import channel_values, plain
from bncheck.formats.torchscript.reading import operator_calls, operator_kinds

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
LINEAR = ("linear", "addmm")
_ROLES = {"addmm": ("mat2", "self")}
"""Which arguments are weight and bias, where they are not called so."""

Call = tuple[str, torch.Tensor, torch.Tensor | None, Mapping[str, Any]]


def affine_operations(program: torch.nn.Module, names: Mapping[int, str]) -> tuple[AffineOperation, ...]:
    """Every convolution and linear layer with weights of its own, those with the same weights once.

    Args:
        program: of any kind.
        names: its tensors' names by storage address.
    """
    if isinstance(program, torch.jit.ScriptModule):
        calls = _of_script(program)
    elif isinstance(program, GraphModule) and runs_operators(program):
        calls = _of_graph(program)
    else:
        calls = _of_modules(program)
    found: dict[int, AffineOperation] = {}
    for operator, weight, bias, given in calls:
        address = weight.data_ptr()
        if address not in found and weight.is_floating_point() and weight.dim() >= 2 and weight.numel():
            name = names.get(address, f"{operator}_{len(found)}.weight")
            found[address] = _operation(operator, name, weight, bias, given)
    return tuple(found.values())


def tensor_operations(tensors: Mapping[str, torch.Tensor]) -> tuple[AffineOperation, ...]:
    """What looks like a convolution's or a linear layer's weight, with its bias, in a state dict."""
    return tuple(
        _operation("convolution", name, tensor, tensors.get(name.removesuffix("weight") + "bias"), {})
        for name, tensor in tensors.items()
        if name.endswith("weight") and tensor.is_floating_point() and tensor.dim() >= 2 and tensor.numel()
    )


def hidden_forms(program: torch.nn.Module) -> tuple[str, ...]:
    """What convolutions and linear layers are stored as whose weights are not compared, by name; none for most."""
    if isinstance(program, torch.jit.ScriptModule):
        products = ("quantized::conv", "quantized::linear", "mkldnn_convolution")
        names = [kind for kind in operator_kinds(program) if any(product in kind for product in products)]
        matrices = (
            given.get("other") for kind, given in operator_calls(program) if kind in ("aten::matmul", "aten::mm")
        )
        names += ["matmul" for matrix in matrices if isinstance(matrix, torch.Tensor) and matrix.dim() == 2]
    elif isinstance(program, GraphModule) and runs_operators(program):
        names = [str(node.target) for node in program.graph.nodes if "quantized" in str(node.target)]
    else:
        names = [type(module).__module__ for module in program.modules()]
    return tuple(form for form in ("quantized", "mkldnn", "matmul") if any(form in name for name in names))


def _of_modules(program: torch.nn.Module) -> Iterator[Call]:
    for module in program.modules():
        if isinstance(module, _ConvNd):
            transposed = isinstance(module, _ConvTransposeNd)
            yield "convolution", module.weight, module.bias, {"transposed": transposed, "groups": module.groups}
        elif isinstance(module, nn.Linear):
            yield "linear", module.weight, module.bias, {}


def _of_graph(program: GraphModule) -> Iterator[Call]:
    for node in program.graph.nodes:
        operator = _operator(str(node.target)) if isinstance(node.target, torch._ops.OpOverload) else None
        if operator is None:
            continue
        given = arguments_of(node)
        weight, bias = (tensor_of(given.get(role), program) for role in _ROLES.get(operator, ("weight", "bias")))
        if weight is not None:
            yield operator, weight, bias, given


def _of_script(program: torch.jit.ScriptModule) -> Iterator[Call]:
    for kind, given in operator_calls(program):
        operator = _operator(kind)
        weight, bias = (given.get(role) for role in _ROLES.get(operator or "", ("weight", "bias")))
        if operator is not None and isinstance(weight, torch.Tensor):
            yield operator, weight, bias, given


def _operator(target: str) -> str | None:
    """`conv2d` for `aten.conv2d.default` and `aten::conv2d`; `None` for what is no such operator."""
    name = target.replace("::", ".").removeprefix("aten.").partition(".")[0]
    return name if name in (*CONVOLUTIONS, *TRANSPOSED, *LINEAR) else None


def _operation(
    operator: str, name: str, weight: torch.Tensor, bias: torch.Tensor | None, given: Mapping[str, Any]
) -> AffineOperation:
    transposed = operator in TRANSPOSED or given.get("transposed") is True
    return AffineOperation(
        key=weight.data_ptr(),
        name=name,
        weight=plain(weight).cpu().float().numpy(),
        bias=None if bias is None else channel_values(bias),
        transposed=transposed,
        groups=int(given.get("groups") or 1) if transposed else 1,
        precision=torch.finfo(weight.dtype).eps,
    )
