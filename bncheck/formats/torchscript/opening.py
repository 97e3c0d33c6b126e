"""From a TorchScript archive or module to its backend."""

from __future__ import annotations

import torch

from bncheck.errors import ModelError
from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Adoption, Request
from bncheck.formats.messages import first_line
from bncheck.formats.programs.operators import require_admitted
from bncheck.formats.tensors import require_readable_module, same_storage, tensor_names
from bncheck.formats.torch_module.listing import has_convolutions
from bncheck.formats.torchscript import FORMAT
from bncheck.formats.torchscript.checking import check_script
from bncheck.formats.torchscript.graph import convolves, operator_kinds
from bncheck.formats.torchscript.layers import list_script_layers
from bncheck.formats.torchscript.model import ScriptBackend
from bncheck.formats.torchscript.reading import load_script
from bncheck.formats.torchscript.writing import ScriptOrigin

_INCOMPLETE = (
    "Is the file complete, and made by a PyTorch no newer than this one, without operators of another library?"
)
_ILLEGIBLE = "octal specifier"
_RENAME = (
    "PyTorch writes a module's name with characters other than ASCII and cannot read it back. Rename that module and "
    "export again, or inspect the state dict."
)
_LOST_CONSTANT = "required keyword attribute 'value' is undefined"
_OPTIMIZED = (
    "torch.jit.optimize_for_inference turns weights into MKLDNN tensors, and saving leaves them out of the file. Save "
    "what torch.jit.freeze gives instead, and optimize after loading."
)


def open_script(request: Request) -> ScriptBackend:
    """Read a TorchScript archive; its own unpickler builds tensors and script objects only, no Python.

    Raises:
        ModelError: the archive is damaged, calls more than computes, or needs operators that are not registered.
    """
    path = request.path
    check_script(path, request.allow_ops)
    try:
        program = load_script(path)
    except Exception as error:
        known = {_LOST_CONSTANT: _OPTIMIZED, _ILLEGIBLE: _RENAME}
        cause = next((told for said, told in known.items() if said in str(error)), _INCOMPLETE)
        raise ModelError(
            f"{path} is a TorchScript archive that cannot be loaded: {first_line(error)}. {cause}"
        ) from error
    # Once more, by what the compiler made of the source.
    require_admitted(operator_kinds(program), path, request.allow_ops)
    require_readable_module(program, str(path))
    source = Adoption(str(path), sha256_of(path), request.device, request.ignored())
    return model_of_script(
        program, source, ScriptOrigin(path=path, container=request.container, allow_ops=request.allow_ops)
    )


def model_of_script(own: torch.jit.ScriptModule, source: Adoption, origin: ScriptOrigin | None = None) -> ScriptBackend:
    """The backend of a scripted or traced module that is bncheck's own."""
    program = own.eval().to(source.device)
    listed = list_script_layers(program)
    names = tensor_names(program)
    for name, value in listed.frozen.items():
        if (address := same_storage(value)) is not None:
            names.setdefault(address[0], name)
    return ScriptBackend(
        path=source.path,
        format=FORMAT.name,
        sha256=source.sha256,
        layers=listed.layers,
        origin=origin,
        program=program,
        tensor_names=names,
        has_convolutions=has_convolutions(program) or convolves(program),
        notes=source.notes,
    )
