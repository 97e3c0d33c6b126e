"""From tensors to the values of a report: float64 arrays, names by storage, layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from bncheck.core import FloatArray, NormLayer
from bncheck.discovery import meant_word
from bncheck.errors import MissingExtraError, ModelError, UsageError
from bncheck.formats.declared import ALWAYS, require_backed
from bncheck.formats.messages import first_line
from bncheck.tensors import torch
from bncheck.vocabulary import ALSO_CALLED, argument

LARGEST_COUNT = 2**53
"""Beyond it floats, which may hold a count, skip numbers; no training takes so many steps."""
_DEVICES = ("cpu", "cuda", "mps", "xpu")
_DEVICE, _REASON = 40, 120
"""Characters of a device that are shown, and of why PyTorch cannot use it."""


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's values without gradient, dense and unquantized."""
    values = tensor.detach()
    if values.is_quantized:
        return values.dequantize()
    return values if values.layout == torch.strided else values.to_dense()


def channel_values(tensor: torch.Tensor) -> FloatArray:
    """A read-only float64 copy, shape (C,); shapes such as (1, C, 1, 1) are flattened.

    Raises:
        ModelError: its values are no real numbers, or of a type whose values PyTorch cannot give.
    """
    if tensor.is_complex():
        raise ModelError(f"values of type {dtype_name(tensor)}, where a layer's values are real numbers.")
    try:
        values = plain(tensor).reshape(-1).to("cpu", torch.float64, copy=True).numpy()
    except (RuntimeError, TypeError) as error:
        raise ModelError(f"values of type {dtype_name(tensor)} cannot be read: {first_line(error)}.") from error
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def require_readable(tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Raise ModelError where a file's tensors have no values, or claim far more than the file holds.

    Nothing is materialised: an expanded or sparse tensor of 10^12 elements may stand in a file of a few hundred bytes.

    Args:
        tensors: by name.
        source: the file, for messages.
    """
    claimed = 0
    storages: dict[int, int] = {}
    for name, tensor in tensors.items():
        if tensor.is_nested:
            raise ModelError(f"{source} holds {name} as a nested tensor, which is not read. Save it as a plain tensor.")
        if tensor.is_meta:
            raise ModelError(
                f"{source} has no values for {name}: it was saved from the meta device. Save it from another."
            )
        claimed += tensor.numel() * tensor.element_size()
        for part in _strided_parts(tensor):
            storages[part.untyped_storage()._cdata] = part.untyped_storage().nbytes()
        require_backed(claimed, sum(storages.values()) if claimed > ALWAYS else 0, f"{name} of {source}")


def require_readable_module(module: torch.nn.Module, source: str) -> None:
    """The same of a program's parameters and buffers."""
    held = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    require_readable(held, source)


def _strided_parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensor itself, or what a sparse one stores; nothing of layouts that have no storage to ask."""
    if tensor.layout == torch.strided:
        yield tensor.detach()
    elif tensor.layout == torch.sparse_coo:
        yield from (tensor.detach()._indices(), tensor.detach()._values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.detach().crow_indices(), tensor.detach().col_indices(), tensor.detach().values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.detach().ccol_indices(), tensor.detach().row_indices(), tensor.detach().values())


def dtype_name(tensor: torch.Tensor) -> str:
    """`float32` for `torch.float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def coarsest_precision(tensors: Iterable[torch.Tensor]) -> float:
    """Spacing of the numbers around 1 in the coarsest type of `tensors` that are floats."""
    return max((epsilon_of(tensor.dtype) for tensor in tensors if tensor.is_floating_point()), default=2.0**-23)


def epsilon_of(dtype: torch.dtype) -> float:
    """Spacing of the numbers around 1; 1 for types so coarse that PyTorch does not say it (4 bits)."""
    try:
        return torch.finfo(dtype).eps
    except (RuntimeError, TypeError):
        return 1.0


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
        mean=_named_values(name, mean) if complete else None,
        var=_named_values(name, var) if complete else None,
        eps=eps,
        momentum=momentum,
        updates=whole_number(tensors.get("num_batches_tracked")),
        weight=_affine(name, weight, size),
        bias=_affine(name, tensors.get("bias"), size),
        expects_statistics=complete,
        trainable_class=trainable_class,
        dtype=dtype_name(mean) if complete and mean is not None else None,
    )


def _affine(name: str, tensor: torch.Tensor | None, channels: int) -> FloatArray | None:
    """Gamma or beta; a tensor of another size is something else (the kernel of a fused layer)."""
    return _named_values(name, tensor) if tensor is not None and tensor.numel() == channels else None


def _named_values(layer: str, tensor: torch.Tensor | None) -> FloatArray | None:
    if tensor is None:
        return None
    try:
        return channel_values(tensor)
    except ModelError as error:
        raise ModelError(f"{layer or 'The layer'} has {error.marked} Save it in float32.") from error


def whole_number(value: object) -> int | None:
    """A count that a file holds, as a number or as a tensor of one; `None` where it cannot be one.

    It may be anything: NaN, complex, negative, 1e300, without values, of a type that nothing converts.
    """
    if isinstance(value, torch.Tensor):
        try:
            value = plain(value).item() if value.numel() == 1 else None
        except (RuntimeError, ValueError, TypeError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= LARGEST_COUNT else None


def require_device(device: str) -> None:
    """Raise UsageError where PyTorch cannot use `device` here, or nothing has values there."""
    try:
        torch.zeros(1, device=device).cpu()  # which `meta` cannot give
    except MissingExtraError:
        raise
    except Exception as error:  # for a device that this build of torch knows by name alone: what its absence provokes
        usable = "cpu or cuda" if torch.cuda.is_available() else "cpu: no GPU is found here"
        said = first_line(error)
        is_unknown = said.startswith("Expected one of")
        reason = "PyTorch knows no device of that name" if is_unknown else said[:_REASON]
        kind = device.partition(":")[0]
        meant = meant_word(kind, _DEVICES, ALSO_CALLED["device"]) if is_unknown else ""
        raise UsageError(
            f"{argument('device')} {device[:_DEVICE]}{meant} cannot be used here: {reason}. Use {usable}."
        ) from error
