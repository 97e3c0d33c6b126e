"""Loading a `torch.export` archive, and its program as a module."""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from bncheck.errors import ModelError
from bncheck.files import sparse_indices_checked
from bncheck.formats.exported.program_check import check_exported
from bncheck.formats.messages import first_line
from bncheck.vocabulary import with_article

_ALONE = threading.Lock()
"""PyTorch keeps the program that it is loading in a global of the process."""
_TALKATIVE = ("torch.export", "torch.export.pt2_archive._package", "torch._export.serde.serialize")


def load_exported(
    path: Path,
    *,
    trust_pickle: bool = False,
    allow_ops: Collection[str] = (),
    extra_files: dict[str, Any] | None = None,
) -> ExportedProgram:
    """`torch.export.load`, once the file was checked to hold tensors and a graph only.

    Args:
        path: the archive.
        trust_pickle: leave the check out, but for the graph's operators.
        allow_ops: operators that the user allows, besides those that compute on tensors.
        extra_files: as `torch.export.load` has it: the files of these names inside the archive are put in.

    Raises:
        ModelError: it is damaged, of another version, or holds more than tensors and a graph.
    """
    # One handle for the check and for loading: the file that is checked is the file that is loaded.
    with path.open("rb") as file:
        check_exported(file, path, trust_pickle=trust_pickle, allow_ops=allow_ops)
        file.seek(0)
        try:
            with _ALONE, quietly(), sparse_indices_checked():
                return torch.export.load(file, extra_files=extra_files)
        except Exception as error:
            raise ModelError(not_loaded(path, error)) from error


def not_loaded(path: Path, error: Exception) -> str:
    """The message for an archive that torch cannot load."""
    return (
        f"{path} is a torch.export archive that cannot be loaded: {first_line(error)}. Is the file complete, and made "
        "by a PyTorch close to this one? Export the model again with this version."
    )


def program_of(exported: ExportedProgram, *, device: str = "cpu") -> GraphModule:
    """The exported program as a module.

    Without the guards that newer versions compile from the file's text; the input's shape is checked all the same.
    """
    with quietly():
        if any(tensor.device != torch.device(device) for tensor in exported.state_dict.values()):
            from torch.export.passes import move_to_device_pass

            exported = move_to_device_pass(exported, device)
        takes_guards = "check_guards" in inspect.signature(exported.module).parameters
        program = exported.module(check_guards=False) if takes_guards else exported.module()
    if not isinstance(program, GraphModule):
        raise ModelError(f"The exported program gives {with_article(type(program).__name__)}, not a graph.")
    return program


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without torch's warnings and logged tracebacks: what matters of them is in the error it raises."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
