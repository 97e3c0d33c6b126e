"""The stand-in gives what PyTorch gives, call by call, for what the reading of stored values asks of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import bncheck.tensors
from bncheck.errors import MissingExtraError
from bncheck.tensors import stand_in

TYPES = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "uint8", "bool"]
VALUES = np.array([[0.0, 1.0, 2.5], [-3.0, 448.0, 64.0]])


def both(name: str) -> list[tuple[Any, Any]]:
    """PyTorch and the stand-in, and the same values in each, in that type."""
    kept = VALUES if "float" in name else np.abs(VALUES) % 2
    return [(one, one.from_numpy(kept.copy()).to(getattr(one, name))) for one in (torch, stand_in)]


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "facts": lambda one, x: (
        *(x.dim(), x.ndim, x.numel(), x.element_size(), x.stride(), tuple(x.shape), len(x), str(x.dtype)),
        *(x.is_floating_point(), x.is_complex(), x.is_quantized, x.is_nested, x.is_meta, x.requires_grad),
        *(x.layout == one.strided, x.dtype == getattr(one, str(x.dtype)[6:]), x.dtype.itemsize),
    ),
    "bytes taken for others": lambda one, x: x.view(x.dtype).double().numpy(),
    "values": lambda one, x: x.detach().cpu().to("cpu", one.float64, copy=True).numpy(),
    "in float32": lambda one, x: x.float().numpy(),
    "flat": lambda one, x: x.reshape(-1).double().numpy(),
    "in another shape": lambda one, x: x.reshape((3, 2)).double().numpy(),
    "sums": lambda one, x: x.double().square().sum([0], keepdim=True).numpy(),
    "root of the sum": lambda one, x: x.double().square().sum(None).sqrt().item(),
    "scaled": lambda one, x: (x.double() * x.double() / x.double().square().sum(None)).numpy(),
    "the same": lambda one, x: (one.equal(x.double(), x.double()), one.equal(x.double(), x.double().square())),
    "spacing": lambda one, x: one.finfo(x.dtype).eps if x.is_floating_point() else None,
    "shape": lambda one, x: (x.shape == one.Size([2, 3]), {x.shape: 1}[one.Size((2, 3))], x.shape.numel()),
    "address": lambda one, x: (x.reshape(-1).data_ptr() == x.data_ptr(), one.empty(0, dtype=x.dtype).data_ptr()),
    "bytes": lambda one, x: x.untyped_storage().nbytes(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", TYPES)
def test_it_answers_as_pytorch_does(name: str, call: str) -> None:
    theirs, ours = (CALLS[call](one, values) for one, values in both(name))
    np.testing.assert_array_equal(np.array(ours, dtype=object), np.array(theirs, dtype=object))


@pytest.mark.parametrize(
    ("first", "size", "stride"),
    [
        (0, (2, 3), (3, 1)),
        (1, (3,), (2,)),
        (2, (4, 4), (0, 0)),
        (0, (), ()),
        (0, (0, 3), (3, 1)),
        (1, (2, 1, 2), (3, 9, 1)),
    ],
)
def test_a_view_of_a_storage_is_the_same_view(first: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    found = []
    for one in (torch, stand_in):
        memory = one.UntypedStorage(32)
        held = memoryview(one.empty(0, dtype=one.uint8).set_(memory).numpy()).cast("B")
        held[:] = np.arange(8.0, dtype="f4").tobytes()
        view = one.empty(0, dtype=one.float32).set_(memory, first, size, stride)
        steps = view.stride() if view.numel() else None
        found.append((steps, tuple(view.shape), view.numpy().tolist(), view.untyped_storage().nbytes()))
    assert found[0] == found[1]


def test_bytes_are_turned_round_as_pytorch_does() -> None:
    found = []
    for one in (torch, stand_in):
        memory = one.UntypedStorage(8)
        held = memoryview(one.empty(0, dtype=one.uint8).set_(memory).numpy()).cast("B")
        held[:] = bytes(range(8))
        memory.byteswap(one.int32)
        found.append(bytes(held))
    assert found[0] == found[1] == bytes([3, 2, 1, 0, 7, 6, 5, 4])


def test_not_a_number_is_not_equal_to_itself() -> None:
    for one in (torch, stand_in):
        broken = one.from_numpy(np.array([np.nan]))
        assert not one.equal(broken, broken)


def test_nothing_is_a_module_and_no_gpu_is_there() -> None:
    assert not isinstance(stand_in.from_numpy(VALUES), stand_in.nn.Module)
    assert not stand_in.cuda.is_available()
    assert stand_in.nn.Parameter(stand_in.from_numpy(VALUES)).numel() == 6


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda: stand_in.load("x"), r"torch\.load"),
        (lambda: stand_in.nn.Linear, r"torch\.nn\.Linear"),
        (lambda: stand_in.from_numpy(VALUES).backward(), r"torch\.Tensor\.backward"),
        (lambda: stand_in.zeros(1, device="cuda"), "cuda"),
        (lambda: stand_in.empty(1, dtype=stand_in.qint8), "qint8"),
    ],
)
def test_whatever_else_is_asked_of_it_names_the_extra(ask: Callable[[], Any], named: str) -> None:
    with pytest.raises(MissingExtraError, match=rf"{named}.* needs PyTorch, .*: pip install 'bncheck\[torch\]'"):
        ask()


def test_where_pytorch_is_it_is_pytorch() -> None:
    assert bncheck.tensors.torch is torch
    assert bncheck.tensors.HAS_TORCH


def test_texts_are_no_tensor() -> None:
    for one in (torch, stand_in):
        with pytest.raises(TypeError):
            one.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match="no type of floats"):
        stand_in.finfo(stand_in.int64)
