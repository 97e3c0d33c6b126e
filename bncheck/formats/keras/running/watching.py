"""Watching Keras' batch normalization, whose channels may stand on any axis and which calls no operator of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bncheck.core import BATCH_NORM
from bncheck.formats.keras.layers import torch_momentum
from bncheck.formats.programs.calls import NormCall, normalize
from bncheck.formats.programs.tap import Tap


@dataclass(frozen=True, slots=True, eq=False)
class MaskedCall(NormCall):
    """A call with a mask: what was masked counts for no statistics, and is normalized all the same.

    Attributes:
        whole: the input, (N, C, *spatial); `input` has the positions that are not masked, (positions, C).
    """

    whole: torch.Tensor

    def with_statistics(self, mean: torch.Tensor, var: torch.Tensor) -> Any:
        """See `NormCall.with_statistics`."""
        return self.in_form(normalize(self.whole, mean, var, self.weight, self.bias, self.eps))


@contextlib.contextmanager
def watched(layers: Mapping[str, Any], tap: Tap) -> Iterator[None]:
    """Have the tap see and answer the calls of these layers, by their names, until the end.

    `call` is where every caller of a layer arrives: wrappers such as TimeDistributed go past `__call__`.
    """
    try:
        for name, layer in layers.items():
            layer.__dict__["call"] = partial(_answered, name, layer, type(layer).call, tap)
        yield
    finally:
        for layer in layers.values():
            layer.__dict__.pop("call", None)


def _answered(
    name: str, layer: Any, original: Any, tap: Tap, inputs: Any, training: Any = None, mask: Any = None
) -> Any:
    """What the layer gives by the policy in force; its own moving statistics stay as they are."""
    by_input = bool(training) and bool(layer.trainable)
    with tap.aside():
        output = original(layer, inputs, training=False, mask=mask)
        call = call_of(layer, inputs, output, mask, by_input=by_input)
        if by_input:  # a model that is built to normalize by the batch, whatever it is run for
            by_batch = _by_batch(call)
            call = call_of(layer, inputs, by_batch, mask, by_input=True)
        return tap.answer_at(tap.sites.visit(name), call)


def call_of(layer: Any, inputs: torch.Tensor, output: torch.Tensor, mask: Any, *, by_input: bool) -> NormCall:
    """The call as that of the operator it computes."""
    axis = layer.axis % inputs.dim()
    x = inputs.movedim(axis, 1).to(output.dtype)
    fields: dict[str, Any] = {
        "kind": BATCH_NORM,
        "weight": layer.gamma.value.detach() if layer.scale else None,
        "bias": layer.beta.value.detach() if layer.center else None,
        "mean": layer.moving_mean.value.detach(),
        "var": layer.moving_variance.value.detach(),
        "by_input": by_input,
        "eps": float(layer.epsilon),
        "momentum": torch_momentum(float(layer.momentum)),
        "as_called": lambda: output,
        "in_form": lambda normalized: normalized.movedim(1, axis),
    }
    if mask is None:
        return NormCall(input=x, **fields)
    return MaskedCall(input=inputs.movedim(axis, -1)[mask.bool()].to(output.dtype), whole=x, **fields)


def _by_batch(call: NormCall) -> torch.Tensor:
    var, mean = torch.var_mean(call.input, [at for at in range(call.input.dim()) if at != 1], correction=0)
    normalized: torch.Tensor = call.with_statistics(mean, var)
    return normalized
