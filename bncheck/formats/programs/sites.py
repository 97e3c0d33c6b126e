"""Which layer a normalization call belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from bncheck.core import NormLayer
from bncheck.formats.programs.calls import NormCall
from bncheck.watch import Site

if TYPE_CHECKING:
    from bncheck.formats.programs.backend import ProgramBackend

STATISTIC_NAMES = ("running_mean", "running_var", "moving_mean", "moving_var", "moving_variance")


class CallSites:
    """Names calls by the storage of their statistics, and counts them within a forward.

    The statistics a call was handed are nearly always the model's own buffers, so their address names the
    layer. Copies (a cast to float32 on the way) are named by the module being run, or by their values.
    """

    def __init__(self, model: ProgramBackend) -> None:
        self._names = dict(model.tensor_names)
        self._declared = {layer.name: layer for layer in model.layers}
        self._counts: Counter[str] = Counter()
        self._unnamed: Counter[str] = Counter()

    def start_forward(self) -> None:
        """Count calls from 0 again."""
        self._counts.clear()
        self._unnamed.clear()

    def locate(self, call: NormCall, running_modules: Sequence[str] = ()) -> Site:
        """The call's site; `running_modules` are the layers whose forward is under way, innermost last."""
        name = self._by_address(call) or self._by_module(running_modules) or self._by_values(call)
        if name is None:
            name = f"{call.kind}#{self._unnamed[call.kind]}"
            self._unnamed[call.kind] += 1
        return self.visit(name)

    def visit(self, name: str) -> Site:
        """The next call of the layer `name`."""
        site = Site(name, self._counts[name])
        self._counts[name] += 1
        return site

    def declared(self, name: str) -> NormLayer | None:
        """The layer as its file declares it."""
        return self._declared.get(name)

    def is_parameter(self, tensor: torch.Tensor) -> bool:
        """Whether `tensor` is (a view of) one of the model's own tensors, not an activation."""
        return tensor.untyped_storage().data_ptr() in self._names

    def _by_address(self, call: NormCall) -> str | None:
        for tensor in (call.mean, call.var, call.weight, call.bias):
            if tensor is not None and (name := self._names.get(tensor.data_ptr())):
                owner, _, leaf = name.rpartition(".")
                own_buffers = tensor is call.mean or tensor is call.var
                return owner if owner in self._declared or leaf in STATISTIC_NAMES or not own_buffers else name
        return None

    def _by_module(self, running_modules: Sequence[str]) -> str | None:
        return running_modules[-1] if running_modules else None

    def _by_values(self, call: NormCall) -> str | None:
        if call.mean is None or call.var is None:
            return None
        mean = call.mean.detach().cpu().double().numpy()
        var = call.var.detach().cpu().double().numpy()
        matches = [
            layer.name
            for layer in self._declared.values()
            if layer.mean is not None
            and layer.var is not None
            and layer.mean.shape == mean.shape
            and np.array_equal(layer.mean, mean)
            and np.array_equal(layer.var, var)
        ]
        return matches[0] if len(matches) == 1 else None
