"""Models that are in memory: whose format they are, copied, and taken as backends."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar, cast

from bncheck.errors import ModelError, UsageError
from bncheck.formats.backend import Backend
from bncheck.formats.format import Adoption, Format
from bncheck.formats.messages import first_line
from bncheck.formats.registry import known_formats
from bncheck.formats.tensors import require_device
from bncheck.formats.torch_module.listing import require_values
from bncheck.formats.torch_module.wrappers import unwrapped
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

Module = TypeVar("Module", bound=torch.nn.Module)


def from_module(module: Any, *, device: str = "cpu") -> Backend:
    """The backend of a model handed over in Python, which is left exactly as it is.

    Args:
        module: an `nn.Module`, also compiled, wrapped in DataParallel, scripted, traced or an fx graph;
            or a `torch.export.ExportedProgram`.
        device: where bncheck's own copy is run.

    Raises:
        UsageError: it is nothing of these, or there is no such device.
        ModelError: it cannot be copied, or has no values yet.
    """
    require_device(device)
    inner = unwrapped(module) if isinstance(module, torch.nn.Module) else module
    found = _format_holding(inner)
    if found is None:
        raise UsageError(
            f"A model must be a path, an nn.Module or an ExportedProgram, not {with_article(type(module).__name__)}."
        )
    if isinstance(inner, torch.nn.Module):
        require_values(inner)
    return adopted(_copied(found, inner), Adoption(type(inner).__name__, device=device))


def adopted(own: torch.nn.Module, source: Adoption) -> Backend:
    """The backend of a module that is bncheck's own already, of whichever format."""
    found = _format_holding(own)
    if found is None:
        raise ValueError(f"{with_article(type(own).__name__)} is no module")
    return found.adopt(own, source)


def copied(module: Module) -> Module:
    """A copy that shares nothing with the module.

    Raises:
        ModelError: it cannot be copied.
    """
    found = _format_holding(module)
    if found is None:
        raise ValueError(f"{with_article(type(module).__name__)} is no module")
    return cast(Module, _copied(found, module))


def _format_holding(value: Any) -> Format | None:
    return next((one for one in known_formats() if one.holds(value)), None)


def _copied(found: Format, value: Any) -> torch.nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return found.copied(value)
    except Exception as error:
        raise ModelError(
            f"The {type(value).__name__} cannot be copied ({first_line(error)}), and bncheck never runs the model it "
            "is given. Save model.state_dict() and pass the file with its architecture."
        ) from error
