"""A normalization operator's call, read from any of the forms torch dispatches it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch

from bncheck.core import BATCH_NORM, GROUP_NORM, INSTANCE_NORM, LAYER_NORM, RMS_NORM

KINDS = {
    "aten::batch_norm": BATCH_NORM,
    "aten::native_batch_norm": BATCH_NORM,
    "aten::_native_batch_norm_legit": BATCH_NORM,
    "aten::_native_batch_norm_legit_no_training": BATCH_NORM,
    "aten::_native_batch_norm_legit_functional": BATCH_NORM,
    "aten::_batch_norm_impl_index": BATCH_NORM,
    "aten::_batch_norm_no_update": BATCH_NORM,
    "aten::_batch_norm_with_update": BATCH_NORM,
    "aten::_batch_norm_with_update_functional": BATCH_NORM,
    "aten::cudnn_batch_norm": BATCH_NORM,
    "aten::miopen_batch_norm": BATCH_NORM,
    "aten::instance_norm": INSTANCE_NORM,
    "aten::group_norm": GROUP_NORM,
    "aten::native_group_norm": GROUP_NORM,
    "aten::layer_norm": LAYER_NORM,
    "aten::native_layer_norm": LAYER_NORM,
    "aten::rms_norm": RMS_NORM,
    "aten::_fused_rms_norm": RMS_NORM,
}
_ALWAYS_TRAINING = ("aten::_batch_norm_with_update", "aten::_batch_norm_with_update_functional")


@dataclass(frozen=True, slots=True, eq=False)
class NormCall:
    """One call of a normalization operator.

    Attributes:
        kind: as in `NormLayer.kind`.
        input: shape (N, C, *spatial).
        weight, bias: gamma and beta, or `None`.
        mean, var: the running statistics handed in, or `None`.
        by_input: the call normalizes by its input's statistics rather than by the running ones.
        eps, momentum: as handed in (momentum in PyTorch's sense: the newest batch's weight).
        as_called: gives the layer's own answer; running statistics are never updated.
        in_form: puts a normalized tensor into the form the layer returns.
    """

    kind: str
    input: torch.Tensor
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    mean: torch.Tensor | None
    var: torch.Tensor | None
    by_input: bool
    eps: float
    momentum: float | None
    as_called: Callable[[], Any]
    in_form: Callable[[torch.Tensor], Any]

    @property
    def has_statistics(self) -> bool:
        """Whether running statistics were handed in."""
        return self.mean is not None and self.var is not None

    def with_statistics(self, mean: torch.Tensor, var: torch.Tensor) -> Any:
        """The answer had the layer normalized by `mean` and `var`, shape (C,)."""
        return self.in_form(normalize(self.input, mean, var, self.weight, self.bias, self.eps))

    def by_instance(self) -> Any:
        """The answer of InstanceNorm by each sample's own statistics."""
        normalized = torch.instance_norm(self.input, self.weight, self.bias, None, None, True, 0.0, self.eps, False)
        return self.in_form(normalized)


def normalize(
    x: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    """Normalize (N, C, *spatial) by given statistics; half precision is computed in float32."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32

    def cast(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor.to(device=x.device, dtype=dtype)

    answer = torch.batch_norm(x.to(dtype), cast(weight), cast(bias), cast(mean), cast(var), False, 0.0, eps, False)
    return answer.to(x.dtype)


def read_call(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NormCall | None:
    """The call as a value, or `None` where `operator` does not normalize."""
    known = _kind_and_arguments(operator)
    if known is None:
        return None
    kind, names = known
    schema = operator._schema
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    by_input = bool(given.get("training", given.get("use_input_stats", False))) or schema.name in _ALWAYS_TRAINING
    mean, var = given.get("running_mean"), given.get("running_var")
    return NormCall(
        kind=kind,
        input=given["input"],
        weight=given.get("weight"),
        bias=given.get("bias"),
        mean=mean,
        var=var,
        by_input=by_input or mean is None,
        eps=float(given.get("eps", given.get("epsilon", 0.0)) or 0.0),
        momentum=given.get("momentum", given.get("exponential_average_factor")),
        as_called=partial(_run_without_updating, operator, given, by_input),
        in_form=partial(_in_form, schema, mean, var),
    )


@lru_cache(maxsize=1024)
def _kind_and_arguments(operator: Any) -> tuple[str, tuple[str, ...]] | None:
    """The kind of layer that an operator is, and its arguments' names: every call comes by, and few normalize."""
    schema = operator._schema
    kind = KINDS.get(schema.name)
    return None if kind is None else (kind, tuple(argument.name for argument in schema.arguments))


def _run_without_updating(operator: Any, given: Mapping[str, Any], updates: bool) -> Any:
    """The operator's own answer; where it would update the running statistics it gets copies to write to."""
    if not updates:
        return operator(**given)
    copies = {
        name: given[name].clone()
        for name in ("running_mean", "running_var")
        if isinstance(given.get(name), torch.Tensor)
    }
    return operator(**{**given, **copies})


def _in_form(schema: Any, mean: torch.Tensor | None, var: torch.Tensor | None, normalized: torch.Tensor) -> Any:
    """`normalized` in the form the operator returns: alone, or first of several."""
    returns = len(schema.returns)
    if returns == 1:
        return normalized
    rest = [normalized.new_empty(0) for _ in range(returns - 1)]
    if "functional" in schema.name and mean is not None and var is not None:
        rest[2:4] = [mean.clone(), var.clone()]
    return (normalized, *rest)
