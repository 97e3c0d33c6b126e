"""Wrappers around the module that someone trained: torch.compile, DataParallel."""

from __future__ import annotations

from bncheck.tensors import torch


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside `torch.compile`, DataParallel and DistributedDataParallel, however they are nested."""
    while True:
        compiled = getattr(module, "_orig_mod", None)
        if isinstance(compiled, torch.nn.Module):
            module = compiled
        elif isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            module = module.module
        else:
            return module
