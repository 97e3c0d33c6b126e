"""From tensors to the values of a report: float64 arrays, names by storage, layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from bncheck.core import FloatArray, NormLayer
from bncheck.errors import ModelError


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's values without gradient, dense and unquantized."""
    values = tensor.detach()
    if values.is_quantized:
        return values.dequantize()
    return values if values.layout == torch.strided else values.to_dense()


def channel_values(tensor: torch.Tensor) -> FloatArray:
    """A read-only float64 copy, shape (C,); shapes such as (1, C, 1, 1) are flattened."""
    values = plain(tensor).reshape(-1).to("cpu", torch.float64, copy=True).numpy()
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def dtype_name(tensor: torch.Tensor) -> str:
    """`float32` for `torch.float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def coarsest_precision(tensors: Iterable[torch.Tensor]) -> float:
    """Spacing of the numbers around 1 in the coarsest type of `tensors` that are floats."""
    return max((torch.finfo(tensor.dtype).eps for tensor in tensors if tensor.is_floating_point()), default=2.0**-23)


def same_storage(tensor: torch.Tensor) -> tuple[int, int] | None:
    """What two tensors that are one and the same share: address and size; `None` for tensors without memory."""
    if tensor.layout != torch.strided or tensor.numel() == 0 or tensor.data_ptr() == 0:
        return None
    return tensor.data_ptr(), tensor.numel()


def tensor_names(module: torch.nn.Module) -> dict[int, str]:
    """Name of every parameter and buffer by storage address; where two share an address the first name wins."""
    names: dict[int, str] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if (key := same_storage(tensor)) is not None:
            names.setdefault(key[0], name)
    return names


def build_layer(
    name: str,
    kind: str,
    tensors: Mapping[str, torch.Tensor | None],
    *,
    channels: int = 0,
    eps: float | None = None,
    momentum: float | None = None,
    trainable_class: bool | None = None,
) -> NormLayer:
    """The layer that these tensors describe.

    Args:
        name: dotted path in the model.
        kind: one of the constants of `bncheck.core.layers`.
        tensors: by role: `running_mean`, `running_var`, `weight`, `bias`, `num_batches_tracked`; any may be absent.
        channels: how many channels it has, for layers whose tensors do not say.
        eps: added to the variance.
        momentum: weight of the newest batch.
        trainable_class: see `NormLayer`.

    Raises:
        ModelError: running mean and variance do not have the same number of channels.
    """
    mean, var, weight = (tensors.get(role) for role in ("running_mean", "running_var", "weight"))
    complete = mean is not None and var is not None
    if mean is not None and var is not None and mean.numel() != var.numel():
        raise ModelError(
            f"The statistics of {name or 'the layer'} do not belong together: the running mean has "
            f"{mean.numel()} values, the running variance {var.numel()}. The file is damaged or was edited."
        )
    sized = mean if mean is not None else var if var is not None else weight
    size = channels if sized is None else sized.numel()
    return NormLayer(
        name=name,
        kind=kind,
        channels=size,
        mean=channel_values(mean) if complete and mean is not None else None,
        var=channel_values(var) if complete and var is not None else None,
        eps=eps,
        momentum=momentum,
        updates=_count(tensors.get("num_batches_tracked")),
        weight=_affine(weight, size),
        bias=_affine(tensors.get("bias"), size),
        expects_statistics=complete,
        trainable_class=trainable_class,
        dtype=dtype_name(mean) if complete and mean is not None else None,
    )


def _affine(tensor: torch.Tensor | None, channels: int) -> FloatArray | None:
    """Gamma or beta; a tensor of another size is something else (the kernel of a fused layer)."""
    return channel_values(tensor) if tensor is not None and tensor.numel() == channels else None


def _count(tensor: torch.Tensor | None) -> int | None:
    if tensor is None or tensor.numel() != 1 or not torch.isfinite(tensor).all():
        return None
    return int(tensor.item())
