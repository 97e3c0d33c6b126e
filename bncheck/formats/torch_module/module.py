"""Models that are modules already: handed over in Python, or pickled whole."""

from __future__ import annotations

import copy
import io
import warnings
from dataclasses import replace
from typing import Any, TypeVar

import torch

from bncheck.errors import ModelError, UsageError
from bncheck.formats.exported.reading import model_of_graph, program_of, runs_operators
from bncheck.formats.messages import first_line
from bncheck.formats.model import MODULE, Model
from bncheck.formats.tensors import tensor_names
from bncheck.formats.torch_module.listing import has_convolutions, list_layers, require_values
from bncheck.formats.torch_module.wrappers import unwrapped
from bncheck.formats.torchscript.reading import keeps_mkldnn, load_script, model_of_script
from bncheck.results.notes import Note
from bncheck.results.notes.of_files import HalfPrecisionRaised

Module = TypeVar("Module", bound=torch.nn.Module)


def from_module(module: Any, *, device: str = "cpu") -> Model:
    """A `Model` of a module handed over in Python, which is left exactly as it is.

    Args:
        module: an `nn.Module`, also compiled, wrapped in DataParallel, scripted, traced or an fx graph;
            or a `torch.export.ExportedProgram`.
        device: where bncheck's own copy is run.

    Raises:
        UsageError: it is nothing of these.
        ModelError: it cannot be copied, or has no values yet.
    """
    if isinstance(module, torch.export.ExportedProgram):
        return model_of_graph(copied(program_of(module)), path="ExportedProgram", device=device)
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"A model must be a path, an nn.Module or an ExportedProgram, not a {type(module).__name__}.")
    inner = unwrapped(module)
    require_values(inner)
    return model_of_module(copied(inner), path=type(inner).__name__, device=device)


def model_of_module(
    own: torch.nn.Module, *, path: str, device: str, sha256: str | None = None, notes: tuple[Note, ...] = ()
) -> Model:
    """The `Model` of a module that is bncheck's own already, of whichever kind."""
    if isinstance(own, torch.jit.ScriptModule):
        return model_of_script(own, path=path, device=device, sha256=sha256, notes=notes)
    if isinstance(own, torch.fx.GraphModule) and runs_operators(own):
        return model_of_graph(own, path=path, device=device, sha256=sha256, notes=notes)
    layers = list_layers(own)
    program = own.eval().to(device)
    return Model(
        path=path,
        format=MODULE,
        sha256=sha256,
        layers=layers,
        program=program,
        tensor_names=tensor_names(program),
        has_convolutions=has_convolutions(program),
        notes=notes,
    )


def model_of_pickled(
    pickled: torch.nn.Module, *, path: str, device: str, sha256: str, notes: tuple[Note, ...]
) -> Model:
    """The `Model` of a module read from a pickle; half precision is run in float32, as data are."""
    own = unwrapped(pickled)
    require_values(own)
    said = list(notes)
    in_training = frozenset(name for name, child in own.named_modules() if child.training)
    stored = {parameter.dtype for parameter in own.parameters() if parameter.is_floating_point()}
    if not stored or not stored <= {torch.float16, torch.bfloat16}:
        model = model_of_module(own, path=path, device=device, sha256=sha256, notes=tuple(said))
        return replace(model, in_training=in_training)
    layers = list_layers(own)
    said.append(HalfPrecisionRaised())
    model = model_of_module(own.float(), path=path, device=device, sha256=sha256, notes=tuple(said))
    return replace(model, layers=layers, in_training=in_training)


def copied(module: Module) -> Module:
    """A copy that shares nothing with the module.

    Raises:
        ModelError: it cannot be copied.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _copied_script(module) if isinstance(module, torch.jit.ScriptModule) else copy.deepcopy(module)
    except Exception as error:
        raise ModelError(
            f"The {type(module).__name__} cannot be copied ({first_line(error)}), and bncheck never runs the model it "
            "is given. Save model.state_dict() and pass the file with its architecture."
        ) from error


def _copied_script(module: Any) -> Any:
    if keeps_mkldnn(module):
        return copy.deepcopy(module)  # cannot be saved; its constants are never written to
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return load_script(buffer)
