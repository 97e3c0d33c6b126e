"""Loading and copying TorchScript: scripted, traced and frozen modules."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from bncheck.data import overlapping
from bncheck.encoding import encodable
from bncheck.files import sparse_indices_checked
from bncheck.formats.torchscript.graph import operator_kinds
from bncheck.talk import ProgramOutput


def load_script(source: Any, extra_files: dict[str, Any] | None = None) -> torch.jit.ScriptModule:
    """`torch.jit.load` from a path or a buffer, without its warning that TorchScript is deprecated.

    Args:
        source: a path or a buffer.
        extra_files: as `torch.jit.load` has it: the files of these names inside the archive are put in.
    """
    # Loading runs the archive's `__setstate__`, which may print, draw at random or turn gradients off.
    gradients = torch.set_grad_enabled(torch.is_grad_enabled())
    with (
        contextlib.ExitStack() as opened,
        warnings.catch_warnings(),
        ProgramOutput().active(),
        overlapping(),
        torch.random.fork_rng(devices=[]),
        gradients,
        sparse_indices_checked(),
    ):
        warnings.simplefilter("ignore")
        if isinstance(source, Path) and encodable(str(source)) != str(source):  # torch cannot spell such a name
            source = opened.enter_context(source.open("rb"))
        load: Any = torch.jit.load  # untyped in torch
        program: torch.jit.ScriptModule = load(
            str(source) if isinstance(source, Path) else source, map_location="cpu", _extra_files=extra_files
        )
        return program


def is_mobile(archive: Path) -> bool:
    """Whether an archive holds bytecode beside the program, for the interpreter of phones (`.ptl`)."""
    with zipfile.ZipFile(archive) as opened:
        return any(name.partition("/")[2] == "bytecode.pkl" for name in opened.namelist())


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
