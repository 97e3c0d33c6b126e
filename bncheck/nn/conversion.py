"""Conversions from BatchNorm to Batch Renormalization and back, layer by layer, everything else as it was."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from bncheck.errors import UsageError
from bncheck.nn.renorm import (
    PAPER_MOMENTUM,
    PAPER_SCHEDULE,
    BatchRenorm,
    BatchRenorm1d,
    BatchRenorm2d,
    BatchRenorm3d,
    std_of,
    var_of,
)
from bncheck.nn.schedule import RenormSchedule
from bncheck.nn.synchronized import SyncBatchRenorm

_RENORM_OF: dict[type[nn.Module], type[BatchRenorm]] = {
    nn.BatchNorm1d: BatchRenorm1d,
    nn.BatchNorm2d: BatchRenorm2d,
    nn.BatchNorm3d: BatchRenorm3d,
    nn.SyncBatchNorm: SyncBatchRenorm,
}
_NORM_OF = {renorm: norm for norm, renorm in _RENORM_OF.items()}
_METHODS = ("forward", "__call__", "_check_input_dim")
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_is_full_backward_hook",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def to_batch_renorm(
    module: nn.Module,
    *,
    momentum: float | None = PAPER_MOMENTUM,
    schedule: RenormSchedule | None = None,
    total_steps: int | None = None,
    inplace: bool = False,
) -> nn.Module:
    """Replace every BatchNorm layer of `module` that learns by a Batch Renormalization layer.

    In eval mode the output stays the same: sigma = sqrt(running_var + eps). Names, nesting, sharing (a layer used
    twice stays one), parameters, dtypes, device, modes and hooks are kept; the schedule starts closed, so
    training goes on as plain BatchNorm until it opens.

    Left as they are: layers with `track_running_stats=False` (nothing to renormalize to); frozen layers, which
    are those whose gamma and beta do not require gradients and those in eval mode inside a module in train mode;
    and other classes, FrozenBatchNorm among them. `nn.SyncBatchNorm` becomes `SyncBatchRenorm`. Subclasses
    that only configure BatchNorm are converted like their base, and come back as the base.

    Args:
        module: any eager module, a single BatchNorm layer included.
        momentum: of the new layers (PyTorch's sense; alpha of the paper, 0.01), whatever BatchNorm's was, which
            `to_batch_norm` gives back; `None` averages all batches equally and goes on counting where BatchNorm was.
        schedule: the limits of r and d. By default the paper's, which stays plain BatchNorm for 5,000 steps and is
            made for runs of 40,000 and more.
        total_steps: of the training to come: the schedule is scaled to it, as by `RenormSchedule.for_run`.
        inplace: convert `module` itself. Its parameters stay the same objects, so an optimizer stays valid.
            By default a deep copy is converted and `module` is left alone.

    Warns:
        RuntimeWarning: from `to_batch_norm`, where the training ended before the schedule opened.

    Raises:
        UsageError: `schedule` and `total_steps` are both given, or a layer cannot be converted without changing what
            it does: a subclass with a `forward` of its own, an uninitialized lazy layer, a scripted module, a
            variance that is negative or not finite.

    Source: Ioffe 2017, section 3.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    >>> to_batch_renorm(net)[1]
    BatchRenorm2d(4, eps=1e-05, momentum=0.01, affine=True, r_max=3.0, d_max=5.0)
    """
    if schedule is not None and total_steps is not None:
        raise UsageError("Give schedule or total_steps, not both: total_steps makes the schedule.")
    limits = schedule or (PAPER_SCHEDULE if total_steps is None else RenormSchedule.for_run(total_steps))
    _refuse_scripted(module)
    learning = [(name, layer) for name, layer in module.named_modules() if _learns(layer, module)]
    obstacles = [(name, layer, why) for name, layer in learning if (why := _obstacle(layer))]
    if obstacles:
        named = "; ".join(
            f"{name or 'the module'} ({type(layer).__name__}) {why}" for name, layer, why in obstacles[:5]
        )
        more = f"; and {len(obstacles) - 5} more" if len(obstacles) > 5 else ""
        raise UsageError(f"Batch Renormalization cannot take the place of these layers: {named}{more}.")
    own = module if inplace else copy.deepcopy(module)
    wanted = {name for name, _ in learning}
    targets = {id(layer) for name, layer in own.named_modules() if name in wanted}
    return _replaced(own, targets, lambda layer: _renorm_of(layer, momentum, limits))


def to_batch_norm(module: nn.Module, *, inplace: bool = False) -> nn.Module:
    """Replace every Batch Renormalization layer of `module` by the BatchNorm layer that infers the same.

    running_var = sigma^2 - eps, at least 0. `momentum` is BatchNorm's from before the conversion (0.1 for
    layers that were never BatchNorm). What `to_batch_renorm` keeps is kept.

    Args:
        module: any eager module.
        inplace: convert `module` itself; by default a deep copy.

    Raises:
        UsageError: `module` is scripted.

    >>> type(to_batch_norm(BatchRenorm2d(4)))
    <class 'torch.nn.modules.batchnorm.BatchNorm2d'>
    """
    _refuse_scripted(module)
    own = module if inplace else copy.deepcopy(module)
    _warn_of_closed(own)
    targets = {id(layer) for layer in own.modules() if isinstance(layer, BatchRenorm)}
    return _replaced(own, targets, _norm_of)


def _warn_of_closed(module: nn.Module) -> None:
    """Warn where all of the training that ends here was plain BatchNorm, because its schedule had not opened yet."""
    closed = [layer for layer in module.modules() if isinstance(layer, BatchRenorm) and layer.never_opened()]
    if closed:
        warnings.warn(
            f"{len(closed)} Batch Renormalization layers were trained for {int(closed[0].schedule_step)} steps, all "
            f"of them as plain BatchNorm: their schedule opens after step {closed[0].closed_until}. Scale it to the "
            "run: to_batch_renorm(module, total_steps=...).",
            RuntimeWarning,
            stacklevel=3,
        )


def is_frozen(layer: nn.Module, root: nn.Module) -> bool:
    """Whether the user froze a layer: no parameter of its own learns, or it is in eval mode while `root` trains."""
    own = list(layer.parameters(recurse=False))
    return (bool(own) and not any(p.requires_grad for p in own)) or (root.training and not layer.training)


def _learns(layer: nn.Module, root: nn.Module) -> bool:
    return isinstance(layer, _BatchNorm) and layer.track_running_stats and not is_frozen(layer, root)


def _obstacle(layer: nn.Module) -> str | None:
    """Why the layer cannot be converted faithfully, as the end of a sentence; `None` where it can."""
    if not isinstance(layer, _BatchNorm):
        return None
    if isinstance(layer, LazyModuleMixin) and layer.has_uninitialized_params():
        return "has no shape yet: run the module once on a batch"
    base = _base_of(type(layer))
    if base is None:
        return "is of no dimension that is known"
    if any(getattr(type(layer), method) is not getattr(base, method) for method in _METHODS):
        return "does more than BatchNorm in a forward of its own: call a plain BatchNorm and the rest after it"
    if any(True for _ in layer.children()):
        return "has modules inside (a parametrization?): remove them first"
    mean, var = layer.running_mean, layer.running_var
    if mean is None or var is None:
        return "has lost its statistics: recalibrate first"
    if not var.is_meta and not bool((torch.isfinite(mean) & torch.isfinite(var) & (var + layer.eps > 0)).all()):
        return "has statistics that are negative or not finite: recalibrate first"
    return None


def _base_of(kind: type[nn.Module]) -> type[nn.Module] | None:
    return next((base for base in kind.__mro__ if base in _RENORM_OF), None)


def _renorm_of(layer: nn.Module, momentum: float | None, schedule: RenormSchedule) -> nn.Module:
    if not isinstance(layer, _BatchNorm) or layer.running_mean is None or layer.running_var is None:
        raise TypeError(type(layer).__name__)  # the caller looked
    base = _base_of(type(layer))
    mean = layer.running_mean
    renorm = _RENORM_OF[base or nn.BatchNorm2d](
        layer.num_features, layer.eps, momentum, layer.affine, schedule=schedule, device=mean.device, dtype=mean.dtype
    )
    renorm.batch_norm_momentum = layer.momentum
    if isinstance(layer, nn.SyncBatchNorm) and isinstance(renorm, SyncBatchRenorm):
        renorm.process_group = layer.process_group
    renorm.weight, renorm.bias = layer.weight, layer.bias
    renorm.running_mean = mean
    renorm.running_std = std_of(layer.running_var, layer.eps)
    if layer.num_batches_tracked is not None:
        renorm.num_batches_tracked = layer.num_batches_tracked
    return _dressed_as(renorm, layer)


def _norm_of(layer: nn.Module) -> nn.Module:
    if not isinstance(layer, BatchRenorm):
        raise TypeError(type(layer).__name__)  # the caller looked
    kind = next(_NORM_OF[base] for base in type(layer).__mro__ if base in _NORM_OF)
    mean = layer.running_mean
    norm: Any = kind(
        layer.num_features, layer.eps, layer.batch_norm_momentum, layer.affine, device=mean.device, dtype=mean.dtype
    )
    if isinstance(layer, SyncBatchRenorm):
        norm.process_group = layer.process_group
    norm.weight, norm.bias = layer.weight, layer.bias
    norm.running_mean = mean
    norm.running_var = var_of(layer.running_std, layer.eps)
    norm.num_batches_tracked = layer.num_batches_tracked
    dressed: nn.Module = _dressed_as(norm, layer)
    return dressed


def _dressed_as(new: nn.Module, old: nn.Module) -> nn.Module:
    """Dress `new` with the mode and the hooks of `old`: the same dictionaries, so that hook handles stay valid."""
    new.training = old.training
    for name in _HOOKS:
        if name in old.__dict__:
            new.__dict__[name] = old.__dict__[name]
    return new


def _replaced(module: nn.Module, targets: set[int], convert: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Convert the modules of these ids in `module` wherever they are registered, each once."""
    if id(module) in targets:
        return convert(module)
    converted: dict[int, nn.Module] = {}
    for parent in list(module.modules()):
        for name, child in parent._modules.items():
            if child is not None and id(child) in targets:
                if id(child) not in converted:
                    converted[id(child)] = convert(child)
                parent._modules[name] = converted[id(child)]
    return module


def _refuse_scripted(module: nn.Module) -> None:
    if any(isinstance(child, torch.jit.ScriptModule) for child in module.modules()):
        raise UsageError(
            "A scripted or traced module is compiled and its layers cannot be exchanged: convert the eager module "
            "it was made from, and script the result."
        )
