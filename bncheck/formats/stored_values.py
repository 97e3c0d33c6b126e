"""A new value in the form the old one was stored in, under all the names the file has for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bncheck.errors import ModelError
from bncheck.formats.tensors import same_storage
from bncheck.tensors import torch


def in_form_of(old: torch.Tensor, new: torch.Tensor, name: str) -> torch.Tensor:
    """`new` with the dtype, shape, device and memory format of `old`; a Parameter where that is one.

    Raises:
        ModelError: a value is beyond the range of the dtype, or there are not as many.
    """
    if old.layout != torch.strided or old.is_quantized or old.is_complex():
        stored = "quantized" if old.is_quantized else str(old.dtype if old.is_complex() else old.layout)
        raise ModelError(
            f"{name} is stored as a tensor that cannot be replaced ({stored.removeprefix('torch.')}). Save the model "
            "with plain tensors, and repair that."
        )
    if new.numel() != old.numel():
        raise ModelError(f"{name} holds {old.numel()} values in the file, and {new.numel()} were to be written.")
    value = fitting(new, old.dtype, name).reshape(old.shape).to(old.device)
    if value.stride() != old.stride():  # channels_last weights stay that; strides that leave gaps are closed
        value = torch.empty_like(old.detach()).copy_(value)
    return torch.nn.Parameter(value, requires_grad=old.requires_grad) if isinstance(old, torch.nn.Parameter) else value


def put_into(old: torch.Tensor, new: torch.Tensor, name: str) -> None:
    """Write `new` into the memory of `old`.

    Raises:
        ModelError: it cannot be in the form of `old`, or several values of `old` share their memory.
    """
    shares = any(stride == 0 and size > 1 for stride, size in zip(old.stride(), old.shape, strict=True))
    if shares and old.numel():
        raise ModelError(
            f"{name} was expanded: its {old.numel()} values share their memory, so no two can differ. "
            "Save the model with .clone() of that tensor, and repair that."
        )
    old.copy_(in_form_of(old, new, name))


def fitting(new: torch.Tensor, dtype: torch.dtype, name: str) -> torch.Tensor:
    """`new` in `dtype`.

    Raises:
        ModelError: finite values are not finite there.
    """
    value = new.detach().to(dtype)
    if value.is_floating_point() and not bool(torch.isfinite(value.double()).all()):
        largest = float(new.double().abs().max())
        raise ModelError(
            f"{name} cannot be written: the value {largest:.3g} is beyond {str(dtype).removeprefix('torch.')}, in "
            "which the file stores it. Convert the file to float32 first, and repair that."
        )
    return value


def by_file_name(
    file_names: Mapping[str, tuple[str, ...]], tensors: Mapping[str, torch.Tensor], held: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """The new values by the file's own names, in the form of what `held` has there; names it lacks are added.

    A tensor that the file holds under several names gets the same value under all of them.

    Args:
        file_names: the file's names of the program's tensors, where these were renamed, see `TensorsOrigin`.
        tensors: the new values by the program's names.
        held: what the file holds.
    """
    placed: dict[str, torch.Tensor] = {}
    for name, new in tensors.items():
        names = file_names.get(name, (name,))
        if not names:
            raise ModelError(
                f"{name} is computed from other tensors of the file (weight normalization), and cannot be written into "
                "it. Repair without training, or save the weights as they are used."
            )
        there = [known for known in names if isinstance(held.get(known), torch.Tensor)]
        shared = {same_storage(held[known]) or known for known in there}
        first: torch.Tensor | None = None
        for known in there:
            # What was one tensor under two names stays one.
            if first is None or len(shared) > 1:
                first = in_form_of(held[known], as_file_stores(new, name, known), known)
            placed[known] = first
        if not there:
            placed.update((known, _added(new, known, held.values())) for known in names)
    return placed


def as_file_stores(new: torch.Tensor, name: str, known: str) -> torch.Tensor:
    """The root of variances where the file has standard deviations."""
    return new.sqrt() if known.endswith("running_std") and name.endswith("running_var") else new


def _added(new: torch.Tensor, name: str, others: Iterable[Any]) -> torch.Tensor:
    """A tensor that the file lacks, in the precision of the others: float32 unless all of them are halves."""
    if not new.is_floating_point():
        return new
    stored = {value.dtype for value in others if isinstance(value, torch.Tensor) and value.is_floating_point()}
    dtype = stored.pop() if len(stored) == 1 else torch.float32
    return fitting(new, dtype if dtype in (torch.float16, torch.bfloat16, torch.float64) else torch.float32, name)
