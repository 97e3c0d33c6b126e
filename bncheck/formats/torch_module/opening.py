"""From a module to its backend."""

from __future__ import annotations

import torch

from bncheck.errors import ModelError
from bncheck.formats.format import Adoption
from bncheck.formats.tensors import tensor_names
from bncheck.formats.torch_module import FORMAT
from bncheck.formats.torch_module.listing import has_convolutions, list_layers, require_state
from bncheck.formats.torch_module.model import ModuleBackend
from bncheck.user_code import users_code
from bncheck.vocabulary import with_article


def model_of_module(own: torch.nn.Module, source: Adoption) -> ModuleBackend:
    """The backend of an eager module that is bncheck's own."""
    # A class may have written any of its methods anew; what they return is not gone by.
    with users_code(
        lambda said: ModelError(f"{source.path}: {with_article(type(own).__name__)} cannot be listed and run: {said}")
    ):
        layers = list_layers(own)
        own.eval()
        own.to(source.device)
        require_state(own)
        return ModuleBackend(
            path=source.path,
            format=FORMAT.name,
            sha256=source.sha256,
            layers=layers,
            program=own,
            tensor_names=tensor_names(own),
            has_convolutions=has_convolutions(own),
            notes=source.notes,
        )
