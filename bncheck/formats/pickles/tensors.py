"""Tensors out of pickles: views of a file's storages, each checked to lie within the one that it names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.made import Known, NotMadeError
from bncheck.formats.pickles.storages import Storage
from bncheck.tensors import torch

_MOST_AXES = 64
_MOST_VALUES = 2**60
_QUANTIZED = (torch.qint8, torch.quint8, torch.qint32)


def _tensor(arguments: tuple[Any, ...], budget: Budget) -> torch.Tensor:
    """`_rebuild_tensor_v2(storage, offset, size, stride, ...)`; what follows them changes no value."""
    if len(arguments) < 4:
        raise ValueError("a tensor lacks its shape")
    storage, offset, size, stride = arguments[:4]
    if not isinstance(storage, Storage):
        raise NotMadeError
    return _view(storage, storage.dtype, offset, size, stride)


def _tensor_of_type(arguments: tuple[Any, ...], budget: Budget) -> torch.Tensor:
    """`_rebuild_tensor_v3(storage, offset, size, stride, gradient, hooks, dtype, ...)` over bytes."""
    match arguments:
        case (Storage() as storage, offset, size, stride, _, _, torch.dtype() as dtype, *_):
            return _view(storage, dtype, offset, size, stride)
    raise NotMadeError


def _quantized(arguments: tuple[Any, ...], budget: Budget) -> torch.Tensor:
    """`_rebuild_qtensor(storage, offset, size, stride, (scheme, scale, zero point), ...)`."""
    match arguments:
        case (Storage() as storage, offset, size, stride, (scheme, *steps), *_) if storage.dtype in _QUANTIZED:
            values = _view(storage, storage.dtype, offset, size, stride)
        case _:
            raise NotMadeError
    budget.charge(values.numel() * values.element_size())
    match scheme, steps:
        case torch.per_tensor_affine, [float() as scale, int() as zero]:
            made = torch._empty_affine_quantized(tuple(size), scale=scale, zero_point=zero, dtype=storage.dtype)
        case torch.per_channel_affine, [torch.Tensor() as scales, torch.Tensor() as zeros, int() as axis]:
            made = torch._empty_per_channel_affine_quantized(
                tuple(size), scales=scales, zero_points=zeros, axis=axis, dtype=storage.dtype
            )
        case _:
            raise NotMadeError
    made.set_(storage.memory, storage.first + offset, size, stride)
    return made


def _view(storage: Storage, dtype: torch.dtype, offset: Any, size: Any, stride: Any) -> torch.Tensor:
    """The tensor, after its every value was found to lie in the memory.

    Raises:
        ValueError: one does not, or the numbers are none that a tensor has.
    """
    for numbers in (size, stride, (offset,)):
        if not isinstance(numbers, (tuple, list)) or not all(type(one) is int and 0 <= one < 2**62 for one in numbers):
            raise ValueError("a tensor's shape is none")
    if len(size) != len(stride) or len(size) > _MOST_AXES or math.prod(size) > _MOST_VALUES:
        raise ValueError("a tensor's shape is none")
    start = storage.first + offset
    last = start + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if math.prod(size) and (last + 1) * dtype.itemsize > storage.memory.nbytes():
        raise ValueError("a tensor reaches beyond its storage")
    made = _empty(dtype)
    made.set_(storage.memory, min(start, storage.memory.nbytes()), tuple(size), tuple(stride))
    return made


def _empty(dtype: torch.dtype) -> torch.Tensor:
    if dtype in _QUANTIZED:
        return torch._empty_affine_quantized((0,), scale=1.0, zero_point=0, dtype=dtype)
    return torch.empty(0, dtype=dtype)


def _parameter(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """`_rebuild_parameter(tensor, gradient, hooks)`; the hooks are left."""
    match arguments:
        case (torch.Tensor() as values, *_):
            return torch.nn.Parameter(values, requires_grad=_can_be_trained(values) and bool([*arguments, False][1]))
    raise NotMadeError


def _can_be_trained(values: torch.Tensor) -> bool:
    return values.is_floating_point() or values.is_complex()


def _of_type(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """`_rebuild_from_type_v2(function, type, arguments, state)`: the tensor itself, of no class of the file's."""
    match arguments:
        case (Known() as function, _, tuple() as inner, *_) if function in TENSORS[:-1]:
            return function.make(inner, budget)
    raise NotMadeError


def _copied_to_cpu(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """`_rebuild_device_tensor_from_cpu_tensor(tensor, type, device, gradient)`: the tensor, where it is."""
    match arguments:
        case (torch.Tensor() as values, *_):
            return values
    raise NotMadeError


def _without_values(arguments: tuple[Any, ...], budget: Budget) -> torch.Tensor:
    """`_rebuild_meta_tensor_no_storage(dtype, size, stride, gradient)`."""
    match arguments:
        case (torch.dtype() as dtype, tuple() as size, tuple() as stride, *_):
            numbers = (*size, *stride)
            if all(type(one) is int and 0 <= one < 2**31 for one in numbers) and math.prod(size) < _MOST_VALUES:
                return torch.empty_strided(size, stride, dtype=dtype, device="meta")
    raise NotMadeError


_FUNCTIONS = "torch._utils."
TENSORS = (
    Known(f"{_FUNCTIONS}_rebuild_tensor", _tensor),
    Known(f"{_FUNCTIONS}_rebuild_tensor_v2", _tensor),
    Known(f"{_FUNCTIONS}_rebuild_tensor_v3", _tensor_of_type),
    Known(f"{_FUNCTIONS}_rebuild_qtensor", _quantized),
    Known(f"{_FUNCTIONS}_rebuild_parameter", _parameter),
    Known(f"{_FUNCTIONS}_rebuild_parameter_with_state", _parameter),
    Known(f"{_FUNCTIONS}_rebuild_device_tensor_from_cpu_tensor", _copied_to_cpu),
    Known(f"{_FUNCTIONS}_rebuild_meta_tensor_no_storage", _without_values),
    Known("torch.nn.parameter.Parameter", _parameter),
    Known("torch._tensor._rebuild_from_type_v2", _of_type),
)
_KINDS = (torch.dtype, torch.qscheme, torch.layout, torch.memory_format)
TYPES: Mapping[str, Any] = MappingProxyType(
    {f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, _KINDS)}
)
"""Types, schemes and layouts: values that PyTorch names, which nothing calls."""
