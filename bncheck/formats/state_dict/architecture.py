"""Building the module that a state dict belongs to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bncheck.data import same_random_state
from bncheck.errors import ModelError, UsageError
from bncheck.extras import require_installed
from bncheck.formats.format import Architecture
from bncheck.formats.torch_module.by_instance import forget_statistics
from bncheck.formats.torch_module.listing import require_values
from bncheck.formats.torch_module.wrappers import unwrapped
from bncheck.tensors import torch
from bncheck.user_code import import_callable, users_code
from bncheck.vocabulary import argument, with_article


def build(arch: Architecture, arch_kwargs: Mapping[str, Any] | None = None) -> torch.nn.Module:
    """The module that `arch` gives when it is called with `arch_kwargs`, bncheck's own to fill.

    The random state of torch, NumPy and Python is as before; what the call prints goes to stderr.

    Args:
        arch: ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, a callable, or a module.
        arch_kwargs: keyword arguments of the call.

    Raises:
        UsageError: it cannot be imported, the call fails, or it does not give a module with values.
    """
    shown = arch if isinstance(arch, str) else getattr(arch, "__name__", type(arch).__name__)
    with same_random_state(range(torch.cuda.device_count())):
        target = import_callable(arch, argument("arch")) if isinstance(arch, str) else arch
        module = target if isinstance(target, torch.nn.Module) else _call(target, arch_kwargs or {}, shown)
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"{argument('arch')} {shown} gave {with_article(type(module).__name__)}; it must return a torch.nn.Module."
        )
    try:
        with users_code(lambda said: UsageError(f"{argument('arch')} {shown}: its module cannot be used: {said}")):
            require_values(module)
            # What a file builds is built for this run; what Python code hands over may be in use there.
            return unwrapped(module) if isinstance(arch, str) else copy.deepcopy(unwrapped(module))
    except ModelError as error:
        raise UsageError(f"{argument('arch')} {shown}: {error.marked}") from error


def by_instance(arch: Architecture, layers: Collection[str]) -> Architecture:
    """The same architecture with these InstanceNorm layers normalizing by the instance; it takes the same arguments."""

    def built(**arguments: Any) -> torch.nn.Module:
        module = build(arch, arguments)
        forget_statistics(module, layers)
        return module

    return built


def require(arch: Architecture | None) -> None:
    """Import what `arch` names, before anything is read: a wrong command comes before an unreadable file.

    Raises:
        UsageError: it cannot be imported.
    """
    if arch is not None:
        require_installed("torch", f"Building {argument('arch')}")
    if isinstance(arch, str):
        with same_random_state(range(torch.cuda.device_count())):
            import_callable(arch, argument("arch"))


def _call(target: Callable[..., Any], arch_kwargs: Mapping[str, Any], shown: str) -> Any:
    def failed(said: str) -> UsageError:
        given = ", ".join(f"{name}={value!r}" for name, value in arch_kwargs.items())
        return UsageError(
            f"{argument('arch')} {shown}: calling it with ({given}) failed: {said.rstrip('.')}. Give it other "
            f"arguments with {argument('arch_kwargs')}, as JSON."
        )

    with users_code(failed):
        return target(**arch_kwargs)
