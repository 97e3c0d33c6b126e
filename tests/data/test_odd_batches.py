"""Batches that samples cannot be taken from, labels that are not one for each sample, and those that are fine."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bncheck.data import open_data
from bncheck.errors import DataError, UsageError

X = torch.arange(24, dtype=torch.float32).reshape(6, 2, 2)
Y = torch.tensor([0, 1, 2, 0, 1, 2])


class Leaving(torch.Tensor):
    """Ends the process with whatever is done to it."""

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        sys.exit(0)


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([X[0], X[1, :1]])


def read(*batches: object) -> Any:
    return list(open_data(list(batches)).given_batches(6))


def quantized() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)


UNFIT: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "sparse": (X.to_sparse, r"a sparse tensor \(sparse_coo\): give \.to_dense\(\)"),
    "quantized": (quantized, r"a quantized tensor \(qint8\)"),
    "nested": (nested, "a nested tensor, whose samples have shapes of their own"),
    "meta": (lambda: X.to("meta"), "on the meta device and has no values"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_tensors_that_samples_cannot_be_taken_from(name: str) -> None:
    make, message = UNFIT[name]
    with pytest.raises(DataError, match=f"the input is {message}"):
        read((make(), Y))
    with pytest.raises(DataError, match=f"the label is {message}"):
        read((X, make()))
    with pytest.raises(DataError, match=f"the input is {message}"):
        open_data((make(), Y))


STORED_ONLY = [
    each
    for each in vars(torch).values()
    if isinstance(each, torch.dtype) and re.match(r"torch\.(bits|float4|u?int[1-7]$)", str(each))
]


@pytest.mark.parametrize("dtype", STORED_ONLY, ids=str)
def test_types_whose_values_nobody_can_read(dtype: torch.dtype) -> None:
    assert len(STORED_ONLY) > 10
    odd = torch.empty(6, 2, dtype=dtype)
    message = f"is of type {str(dtype).removeprefix('torch.')}, whose values PyTorch can store and not read"
    for pair, which in (((odd, Y), "input"), ((X, odd), "label")):
        with pytest.raises(DataError, match=f"the {which} {message}: give float32 or int64"):
            read(pair)
        with pytest.raises(DataError, match=f"the {which} {message}"):
            open_data(pair)


@pytest.mark.parametrize(
    "kind",
    [
        torch.float8_e4m3fn,
        torch.float8_e8m0fnu,
        torch.bfloat16,
        torch.uint16,
        torch.uint64,
        torch.complex64,
        torch.bool,
    ],
    ids=str,
)
def test_every_other_type_of_input_is_read(kind: torch.dtype) -> None:
    (batch,) = read((X.to(kind), Y))
    (whole,) = open_data((X.to(kind), Y)).given_batches(6)
    assert batch.inputs.dtype == whole.inputs.dtype == kind


def test_subclasses_of_tensors_are_read_as_tensors() -> None:
    with torch._C.DisableTorchFunctionSubclass():
        odd = X.as_subclass(Leaving)
    (batch,) = read((odd, Y))
    assert type(batch.inputs) is torch.Tensor
    assert torch.equal(batch.inputs, X)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "int8", "bool"])
def test_labels_of_every_whole_kind_are_ordinary(dtype: str) -> None:
    for labels in (Y.numpy().astype(dtype), torch.from_numpy(Y.numpy().astype(dtype))):
        (batch,) = read((X, labels))
        (whole,) = open_data((X, labels)).given_batches(6)
        assert batch.labels.tolist() == whole.labels.tolist() == Y.numpy().astype(dtype).tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Y[:5], "a batch of 6 samples, but 5 labels; there must be as many"),
        (torch.cat([Y, Y]), "a batch of 6 samples, but 12 labels"),
        (Y[0], "a batch of 6 samples, but a single label"),
        (Y.to(torch.complex64), "the labels are complex numbers"),
        (torch.full((6,), 2**64 - 1, dtype=torch.uint64), "a label is 18446744073709551615"),
        (np.array([10**30] * 6), "the label holds Python objects"),
    ],
)
def test_labels_that_are_none(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read((X, labels))


def test_labels_in_some_batches_alone() -> None:
    for batches in ([(X, Y), X], [X, (X, Y)]):
        with pytest.raises(DataError, match="some of its batches have labels and some have none"):
            read(*batches)


def test_an_array_that_claims_much_more_than_it_holds() -> None:
    with pytest.raises(DataError, match=r"claims 24000000000 bytes and holds 96: it repeats itself"):
        open_data(torch.zeros(6, 4)[:1].expand(15 * 10**8, 4))


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}.py:batches", "a\0b"], ids=["long", "long code", "null"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        open_data(name)
