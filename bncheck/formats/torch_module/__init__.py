"""Modules: handed over in Python, or pickled whole."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bncheck.formats.format import Adoption, Format
from bncheck.tensors import torch

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


class TorchModule(Format):
    """`torch.nn.Module`; files that hold one are checkpoints, see `state_dict`."""

    name = "module"
    rank = 90  # the other formats' modules are modules too

    def holds(self, value: Any) -> bool:
        """Any module."""
        return isinstance(value, torch.nn.Module)

    def copied(self, value: Any) -> torch.nn.Module:
        """A deep copy."""
        own: torch.nn.Module = copy.deepcopy(value)
        return own

    def adopt(self, own: Any, source: Adoption) -> Backend:
        """See `model_of_module`."""
        from bncheck.formats.torch_module.opening import model_of_module

        return model_of_module(own, source)


FORMAT = TorchModule()
