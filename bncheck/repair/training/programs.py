"""Exported programs: their calls of batch normalization become Batch Renormalization layers."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node

from bncheck.errors import UsageError
from bncheck.formats import kind_without_statistics
from bncheck.nn import BatchRenorm, RenormSchedule, std_of, var_of

_PREFIX = "_batch_renorm_"
_WITH_FLAG = (torch.ops.aten.batch_norm.default,)
_FOR_INFERENCE = (torch.ops.aten._native_batch_norm_legit_no_training.default,)
_IN_TRAINING = (
    torch.ops.aten._native_batch_norm_legit.default,
    torch.ops.aten._native_batch_norm_legit_functional.default,
    torch.ops.aten._batch_norm_with_update.default,
    torch.ops.aten._batch_norm_with_update_functional.default,
)


def renormalized_program(program: GraphModule, schedule: RenormSchedule, momentum: float) -> GraphModule:
    """`program`, changed in place: each batch normalization by stored statistics calls a BatchRenorm layer.

    Parameters and running means are the program's own tensors; calls that share their statistics share a layer.
    Calls whose gamma and beta do not require gradients are frozen and stay as they are.

    Raises:
        UsageError: the program was exported in training mode.
    """
    layers: dict[str, tuple[str, tuple[Any, ...]]] = {}
    for node in list(program.graph.nodes):
        if node.op != "call_function" or not _normalizes(node):
            continue
        arguments = _arguments(node)
        mean = _target(arguments["running_mean"])
        var = _target(arguments["running_var"])
        if mean is None or var is None:
            continue
        layer = _layer(program, arguments, mean, var, schedule, momentum)
        if layer is None:
            continue
        settings = (var, arguments["weight"], arguments["bias"], arguments["eps"])
        if mean not in layers:
            layers[mean] = (f"{_PREFIX}{len(layers)}", settings)
            program.add_submodule(layers[mean][0], layer)
        if layers[mean][1] != settings:
            raise UsageError(f"{mean} is used by calls with other gamma, beta or eps: such a program is not converted.")
        _call_instead(program, node, layers[mean][0])
    program.graph.lint()
    program.recompile()
    return program


def write_variances(program: nn.Module) -> None:
    """Put the layers' sigma into the program's running variances, which it keeps beside them."""
    for name, layer in program.named_children():
        if name.startswith(_PREFIX) and isinstance(layer, ProgramBatchRenorm):
            with torch.no_grad():
                owner, _, leaf = layer.variance_name.rpartition(".")
                variance = program.get_submodule(owner).get_buffer(leaf)
                variance.copy_(var_of(layer.running_std, layer.eps))


class ProgramBatchRenorm(BatchRenorm):
    """A Batch Renormalization layer that knows which running variance of its program it stands for."""

    variance_name: str = ""


def _normalizes(node: Node) -> bool:
    """Whether `node` is batch normalization by stored statistics."""
    if node.target in _FOR_INFERENCE:
        return all(user.target is operator.getitem and (user.args[1] == 0 or not user.users) for user in node.users)
    in_training = node.target in _IN_TRAINING
    if node.target in _WITH_FLAG:
        arguments = _arguments(node)
        if arguments["running_mean"] is None or _is_other_norm(node):
            return False
        in_training = bool(arguments["training"])
        if not in_training:
            return True
    if in_training:
        raise UsageError(
            "The program was exported in training mode: it normalizes by its input for ever, whatever statistics it "
            "holds. Call model.eval(), export it again, and repair that."
        )
    return False


def _is_other_norm(node: Node) -> bool:
    """Whether it is part of a decomposed InstanceNorm, which calls batch normalization on a reshaped input."""
    stack = node.meta.get("nn_module_stack") or {}
    kinds = [kind if isinstance(kind, str) else getattr(kind, "__name__", "") for _, kind in stack.values()]
    return bool(kinds) and kind_without_statistics(kinds[-1].rpartition(".")[2]) is not None


def _layer(
    program: GraphModule, arguments: dict[str, Any], mean: str, var: str, schedule: RenormSchedule, momentum: float
) -> ProgramBatchRenorm | None:
    """The layer for a call with these arguments; `None` where it is frozen."""
    weight, bias = (_tensor(program, arguments[role]) for role in ("weight", "bias"))
    if weight is not None and not weight.requires_grad and (bias is None or not bias.requires_grad):
        return None
    running_mean, running_var = _named(program, mean), _named(program, var)
    eps = float(arguments["eps"])
    if not bool((torch.isfinite(running_var) & (running_var + eps > 0)).all()):
        raise UsageError(
            f"{var} holds values that are negative or not finite: recalibrate the statistics before fine-tuning."
        )
    layer = ProgramBatchRenorm(
        running_mean.numel(), eps, momentum, affine=False, schedule=schedule, dtype=running_mean.dtype
    )
    layer.affine = weight is not None
    layer.weight = weight if isinstance(weight, nn.Parameter) else None
    layer.bias = bias if isinstance(bias, nn.Parameter) else None
    layer.running_mean = running_mean
    layer.running_std = std_of(running_var, eps)
    layer.variance_name = var
    counter = f"{mean.removesuffix('running_mean')}num_batches_tracked"
    counters = dict(program.named_buffers(remove_duplicate=False))
    if mean.endswith("running_mean") and counter in counters:
        layer.num_batches_tracked = counters[counter]
    return layer.eval()


def _call_instead(program: GraphModule, node: Node, layer: str) -> None:
    with program.graph.inserting_before(node):
        call = program.graph.call_module(layer, (node.args[0],))
    if node.target in _WITH_FLAG:
        node.replace_all_uses_with(call)
    else:
        for user in list(node.users):  # of the operator's three results only the first is used
            user.replace_all_uses_with(call)
            program.graph.erase_node(user)
    program.graph.erase_node(node)


def _arguments(node: Node) -> dict[str, Any]:
    schema: Any = node.target._schema  # type: ignore[union-attr]  # an OpOverload
    return dict(zip((argument.name for argument in schema.arguments), node.args, strict=False)) | dict(node.kwargs)


def _target(argument: Any) -> str | None:
    return str(argument.target) if isinstance(argument, Node) and argument.op == "get_attr" else None


def _tensor(program: GraphModule, argument: Any) -> torch.Tensor | None:
    name = _target(argument)
    return None if name is None else _named(program, name)


def _named(program: GraphModule, name: str) -> torch.Tensor:
    found: torch.Tensor = operator.attrgetter(name)(program)
    return found
