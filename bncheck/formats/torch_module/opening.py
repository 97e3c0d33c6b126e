"""From a module to its backend."""

from __future__ import annotations

import torch

from bncheck.formats.format import Adoption
from bncheck.formats.tensors import tensor_names
from bncheck.formats.torch_module import FORMAT
from bncheck.formats.torch_module.listing import has_convolutions, list_layers
from bncheck.formats.torch_module.model import ModuleBackend


def model_of_module(own: torch.nn.Module, source: Adoption) -> ModuleBackend:
    """The backend of an eager module that is bncheck's own."""
    layers = list_layers(own)
    program = own.eval().to(source.device)
    return ModuleBackend(
        path=source.path,
        format=FORMAT.name,
        sha256=source.sha256,
        layers=layers,
        program=program,
        tensor_names=tensor_names(program),
        has_convolutions=has_convolutions(program),
        notes=source.notes,
    )
