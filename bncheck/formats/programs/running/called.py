"""The layer behind a call of a normalizing operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bncheck.core import INSTANCE_NORM, NormLayer
from bncheck.formats.programs.calls import NormCall


def layer_of_call(call: NormCall, name: str, declared: NormLayer | None) -> NormLayer:
    """The layer with the statistics, eps and momentum this call used, and what the file declares besides."""
    # A decomposed program runs InstanceNorm through the batch norm operator; its declaration still knows.
    kind = INSTANCE_NORM if declared is not None and declared.kind == INSTANCE_NORM else call.kind
    channels = call.mean.numel() if call.mean is not None else _channels(call)
    return NormLayer(
        name=name,
        kind=kind,
        channels=channels,
        mean=_array(call.mean),
        var=_array(call.var),
        eps=call.eps,
        momentum=_momentum(call, declared),
        updates=declared.updates if declared else None,
        weight=_array(call.weight),
        bias=_array(call.bias),
        expects_statistics=call.has_statistics,
        trainable_class=declared.trainable_class if declared else None,
        dtype=declared.dtype if declared else _dtype(call),
        missing=declared.missing if declared else False,
        by_input=declared.by_input if declared else False,
    )


def _momentum(call: NormCall, declared: NormLayer | None) -> float | None:
    """Modules in eval mode may hand 0.0 to the operator: what the module declares goes first."""
    if declared is not None and declared.momentum is not None:
        return declared.momentum
    return call.momentum or None


def _channels(call: NormCall) -> int:
    for tensor in (call.weight, call.bias):
        if tensor is not None:
            return tensor.numel()
    return call.input.shape[1]


def _array(tensor: torch.Tensor | None) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if tensor is None:
        return None
    array = tensor.detach().cpu().double().numpy().copy()
    array.setflags(write=False)
    return array


def _dtype(call: NormCall) -> str | None:
    return None if call.mean is None else str(call.mean.dtype).removeprefix("torch.")
