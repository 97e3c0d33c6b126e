"""Loading and copying TorchScript: scripted, traced and frozen modules."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import torch

from bncheck.formats.torchscript.graph import operator_kinds


def load_script(source: Any, extra_files: dict[str, Any] | None = None) -> torch.jit.ScriptModule:
    """`torch.jit.load` from a path or a buffer, without its warning that TorchScript is deprecated.

    Args:
        source: where it is read from.
        extra_files: as `torch.jit.load` has it: the files of these names inside the archive are put in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load: Any = torch.jit.load  # untyped in torch
        program: torch.jit.ScriptModule = load(source, map_location="cpu", _extra_files=extra_files)
        return program


def copied_script(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """A copy that shares nothing with the module."""
    if _keeps_mkldnn(module):
        return copy.deepcopy(module)  # cannot be saved; its constants are never written to
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return load_script(buffer)


def _keeps_mkldnn(program: torch.jit.ScriptModule) -> bool:
    """Whether it holds weights in MKLDNN's own order, as `torch.jit.optimize_for_inference` leaves them."""
    return any("MKLDNN" in kind for kind in operator_kinds(program))
