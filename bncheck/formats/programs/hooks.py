"""Module hooks, for the eager layers that normalize by stored statistics without a norm operator.

FrozenBatchNorm and user-written norms compute with plain arithmetic, which the tap cannot tell from any
other. A module that owns `running_mean` and `running_var` is watched; if no norm operator was tapped while
it ran and its output is the input normalized by those buffers, its call is handled like any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from bncheck.core import BATCH_NORM, THRESHOLDS
from bncheck.formats.programs.calls import NormCall, normalize
from bncheck.formats.programs.tap import Tap
from bncheck.watch import lies_elsewhere

USUAL_EPS = (1e-5, 0.0, 1e-3)


@contextlib.contextmanager
def custom_norms(program: nn.Module, tap: Tap) -> Iterator[None]:
    """Watch the eager modules of `program` that own running statistics; the hooks are removed at the end.

    Layers that turn out not to normalize by their buffers are put into `tap.unsupported`.
    """
    handles = []
    try:
        for name, module in program.named_modules():
            if _owns_statistics(module):
                watcher = _Watcher(name, tap)
                handles.append(module.register_forward_pre_hook(watcher.enter, with_kwargs=True))
                handles.append(module.register_forward_hook(watcher.leave, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Watcher:
    """The two hooks of one module."""

    def __init__(self, name: str, tap: Tap) -> None:
        self.name = name
        self.tap = tap
        self._eps: float | None = None

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.tap.running_modules.append(self.name)
        self.tap.served.discard(self.name)

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Handle the call here if the tap has not; a value returned replaces the module's output."""
        self.tap.running_modules.pop()
        if self.name in self.tap.served:
            return None
        with self.tap.aside():
            call = _as_call(module, args, kwargs, output, self._eps)
            if call is None:
                self.tap.unsupported.add(self.name)
                return None
            self._eps = call.eps
            return self.tap.answer_at(self.tap.sites.visit(self.name), call)


def _owns_statistics(module: nn.Module) -> bool:
    if isinstance(module, torch.jit.ScriptModule):
        return False
    return all(isinstance(getattr(module, name, None), torch.Tensor) for name in ("running_mean", "running_var"))


def _as_call(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, known: float | None
) -> NormCall | None:
    """The module's forward as a call of the operator it imitates, or `None` where it does something else.

    On an accelerator, which a comparison would have to be waited for, a module is compared in its first forward: there
    `known` is the eps by which it was found to normalize then.
    """
    x = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
    if not isinstance(x, torch.Tensor) or not isinstance(output, torch.Tensor) or x.dim() < 2:
        return None
    mean, var = module.running_mean, module.running_var
    if x.shape != output.shape or not isinstance(mean, torch.Tensor) or x.shape[1] != mean.numel():
        return None
    weight, bias = _affine(module, "weight", mean), _affine(module, "bias", mean)
    declared = getattr(module, "eps", getattr(module, "epsilon", None))
    candidates = (float(declared), *USUAL_EPS) if isinstance(declared, float | int) else USUAL_EPS
    for eps in candidates:
        arguments = (x, mean.flatten(), _flat(var), weight, bias, eps)
        if (known == eps and lies_elsewhere(x)) or _close(normalize(*arguments), output):
            return NormCall(
                kind=BATCH_NORM,
                input=x,
                weight=weight,
                bias=bias,
                mean=mean.flatten(),
                var=_flat(var),
                by_input=False,
                eps=eps,
                momentum=_momentum(module),
                as_called=lambda: output,
                in_form=lambda normalized: normalized,
            )
    return None


def _affine(module: nn.Module, name: str, mean: torch.Tensor) -> torch.Tensor | None:
    value = getattr(module, name, None)
    return value.flatten() if isinstance(value, torch.Tensor) and value.numel() == mean.numel() else None


def _momentum(module: nn.Module) -> float | None:
    value = getattr(module, "momentum", None)
    return float(value) if isinstance(value, float | int) else None


def _flat(tensor: Any) -> torch.Tensor:
    flat: torch.Tensor = tensor.flatten()
    return flat


def _close(expected: torch.Tensor, output: torch.Tensor) -> bool:
    difference = (expected - output).double().square().mean().sqrt()
    size = output.double().square().mean().sqrt()
    tolerance = max(THRESHOLDS.normalizes_alike, 4 * torch.finfo(output.dtype).eps)
    return bool(difference <= tolerance * size) or not bool(torch.isfinite(difference))
