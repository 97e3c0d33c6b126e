"""Conversion of the forms in which people hand data over to inputs and labels.

Accepted are ``x``, ``(x, y)``, a named tuple, a dict and a graph object. What a field is called tells the labels:
`y`, `label`, `labels`, `target` or `targets`; the others are the inputs by name, and a single one is the input itself.
Labels of several outputs are a dict by the outputs' keys, or a tuple in the outputs' order. `DataSettings.input` and
`.label` choose where that does not tell.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from bncheck.data.batches import Inputs, length
from bncheck.data.forms.parts import (
    AS_GIVEN,
    DEEPEST,
    LABEL_KEYS,
    attributes,
    entries,
    fields_of,
    inputs_of,
    is_graph,
    is_text,
    label_of,
    part_of,
    type_name,
    without_slices,
)
from bncheck.data.forms.structure import Carrier, PackedSequence, PerSample, columns, leaves
from bncheck.data.slicing.asking import column_of
from bncheck.data.slicing.names import LABEL
from bncheck.errors import DataError
from bncheck.settings import DataSettings
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article

_SHOWN = 200
"""Characters of where a part stands that are told."""


def inputs_and_labels(value: object, where: str, reading: DataSettings = AS_GIVEN) -> tuple[Inputs, object]:
    """The inputs and, as they were given, the labels (`None` without) in `value`.

    Args:
        value: a tensor or array, a tuple or list ``(x,)`` or ``(x, y)``, a named tuple, a dict, or an object that
            carries tensors as attributes, as graphs do.
        where: what errors call it.
        reading: which of its parts are inputs and label.

    Raises:
        DataError: `value` has another form, or has no part of that name.
    """
    fields = fields_of(value)
    if fields is None:
        if reading.input is not None:
            raise DataError(
                f"{where}: {with_article(type_name(value))} has no parts that {argument('input')} could choose."
            )
        return _inputs(value, where), None
    if not fields:
        raise DataError(f"{where}: no input, only nothing; expected 'x'.")
    column = column_of(reading.by)
    if column not in (None, LABEL):
        part_of(fields, str(column), where, "by")  # or what it would have named may be refused as an input
    fields = without_slices(value, fields, reading, column)
    label = label_of(value, fields, reading, where)
    names = reading.input or inputs_of(value, fields, label, where)
    labels = None if label is None else part_of(fields, label, where, "label")
    if reading.input is None and (carrier := _carrier(value)) is not None:
        return carrier, labels
    parts = {name: part_of(fields, name, where, "input") for name in names}
    if reading.input is None and len(parts) > 1:
        parts = {name: part for name, part in parts.items() if not is_text(part)} or parts
    whole = next(iter(parts.values())) if len(parts) == 1 else parts
    inputs = _inputs(
        tuple(parts.values()) if whole is parts and not isinstance(value, Mapping) else whole, where, labels
    )
    if next(leaves(inputs), None) is None and not isinstance(inputs, Carrier):
        _refuse(whole, f"{where}: the input" if whole is not parts else f"{where}: input 0")
    return inputs, labels


def slices_in(value: object, labels: object, where: str, reading: DataSettings) -> object:
    """What names the slices in `value`: one of its parts, or the labels; `None` where no column was asked for.

    Args:
        value: as for `inputs_and_labels`.
        labels: in it.
        where: what errors call it.
        reading: which part it is.

    Raises:
        DataError: there is no such part.
    """
    column = column_of(reading.by)
    if column is None:
        return None
    fields = fields_of(value) or {}
    if column == LABEL and column not in fields:
        if labels is None:
            raise DataError(f"{where}: {argument('by')} {LABEL}: there are no labels.")
        return labels
    return part_of(fields, column, where, "by")


def _refuse(value: object, what: str) -> None:
    """Raise a DataError for what holds no tensor."""
    if isinstance(value, tuple | list) and value:
        to_tensor(value[0], f"{what.removesuffix('the input')}input 0")
    to_tensor(value, what)


def to_tensor(value: object, what: str) -> torch.Tensor:
    """A tensor or NumPy array as a detached, plain tensor that shares its memory where torch can.

    Raises:
        DataError: `value` is something else, or holds something other than numbers, one after the other.
    """
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # a subclass's own functions are not ours to run
            return _plain(value, what)
    if not isinstance(value, np.ndarray):
        raise DataError(f"{what} is {with_article(type_name(value))}, not a tensor or a NumPy array.")
    if value.dtype.kind not in "biufc":
        raise DataError(f"{what} holds {_describe(value)}, not numbers (dtype {value.dtype}).")
    array = np.require(value, value.dtype.newbyteorder("="), "C")  # torch knows no other byte order and strides
    try:
        with warnings.catch_warnings():
            # Nothing is written to it, and copying what is mapped from a file would read all of it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(array)
    except TypeError as error:
        raise DataError(f"{what} has dtype {value.dtype}, which torch does not know.") from error


def _plain(tensor: torch.Tensor, what: str) -> torch.Tensor:
    """The tensor without what a subclass adds, if samples can be taken from it."""
    if tensor.is_nested:
        unfit = "a nested tensor, whose samples have shapes of their own", "pad it, or give a batch for each shape"
    elif tensor.layout != torch.strided:
        unfit = f"a sparse tensor ({str(tensor.layout).removeprefix('torch.')})", "give .to_dense()"
    elif tensor.is_quantized:
        unfit = f"a quantized tensor ({str(tensor.dtype).removeprefix('torch.')})", "give .dequantize()"
    elif tensor.is_meta:
        unfit = "on the meta device and has no values", "load it, or make it on the CPU"
    elif is_only_stored(tensor.dtype):
        kind = str(tensor.dtype).removeprefix("torch.")
        unfit = f"of type {kind}, whose values PyTorch can store and not read", "give float32 or int64"
    else:
        plain = tensor.detach()
        return plain if type(plain) is torch.Tensor else plain.as_subclass(torch.Tensor)
    raise DataError(f"{what} is {unfit[0]}: {unfit[1]}.")


@cache
def is_only_stored(dtype: torch.dtype) -> bool:
    """Whether PyTorch can only store such values, and neither take nor convert them: 4 bits and fewer, or mere bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which types are experimental
        one = torch.empty(1, dtype=dtype, device="cpu")
    try:
        one.clone()[torch.zeros(1, dtype=torch.int64, device="cpu")].to(torch.complex128)
    except (RuntimeError, TypeError):  # NotImplementedError among them
        return True
    return False


def _carrier(value: object) -> Carrier | None:
    if isinstance(value, torch.Tensor | np.ndarray | Mapping | tuple | list) or not is_graph(value):
        return None
    held = {name: to_tensor(part, name) for name, part in attributes(value).items()}
    return Carrier(value, {name: part for name, part in held.items() if name not in LABEL_KEYS})


def _inputs(value: object, where: str, labels: object = None) -> Inputs:
    """`value` with every array in it as a tensor; a tuple is what stands in several places of a call.

    A list is either: inputs that share their first axis, or one entry for each sample, as detectors take images.
    """
    if isinstance(value, PackedSequence | Carrier):
        return value
    if isinstance(value, Mapping):
        read = {str(name): _input(part, f"{where}: the input {name!r}") for name, part in value.items()}
        return _with_entries(read, labels)
    if isinstance(value, tuple | list):
        listed = tuple(_input(part, f"{where}: input {place}") for place, part in enumerate(value))
        if are_samples(listed, labels):
            return PerSample(listed)
        return _with_entries(listed, labels)
    return to_tensor(value, f"{where}: the input")


def _input(value: object, what: str, depth: int = 0) -> Any:
    """One of several inputs: what holds tensors is passed on in its form."""
    if depth > DEEPEST:
        raise DataError(f"{what[:_SHOWN]}: parts within parts, more than {DEEPEST} deep. Give the tensors themselves.")
    if isinstance(value, torch.Tensor | np.ndarray):
        return to_tensor(value, what)
    if isinstance(value, PackedSequence | bool | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {name: _input(part, f"{what}, {name!r}", depth + 1) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [_input(part, f"{what}, {place}", depth + 1) for place, part in enumerate(value)]
    return value if isinstance(value, str | bytes) or not _is_plain(value) else to_tensor(value, what)


def _is_plain(value: object) -> bool:
    return type(value).__module__ in ("builtins", "numpy")


def _with_entries(inputs: Any, labels: object) -> Inputs:
    """The same, where lists that have an entry for each sample are known as such."""
    sizes = {length(one) for one in columns(inputs)} - {None}
    size = next(iter(sizes)) if len(sizes) == 1 else entries(labels)

    def told(part: Any) -> Any:
        if isinstance(part, list) and part and len(part) == size:
            return PerSample(part)
        return part

    if isinstance(inputs, Mapping):
        return {name: told(part) for name, part in inputs.items()}
    return tuple(told(part) for part in inputs)


def are_samples(parts: tuple[Any, ...], labels: object) -> bool:
    """Whether a list of tensors has one entry for each sample, rather than inputs that share their first axis.

    That is so where there are as many labels as entries and not as many as the first axis says, and without labels
    where the entries are images of several sizes.

    >>> are_samples((torch.zeros(3, 8, 8), torch.zeros(3, 9, 7)), [{"boxes": 1}, {"boxes": 2}])
    True
    >>> are_samples((torch.zeros(2, 8), torch.zeros(2, 5)), torch.tensor([0, 1]))
    False
    """
    if not parts or not all(isinstance(part, torch.Tensor) and part.ndim for part in parts):
        return False
    firsts = {len(part) for part in parts}
    if (count := entries(labels)) is not None:
        listed = isinstance(labels, tuple | list) and bool(labels) and isinstance(labels[0], Mapping)
        return count == len(parts) and (listed or firsts != {count})
    shapes = {part.shape for part in parts}
    return len(shapes) > 1 and firsts <= {1, 3, 4} and len(firsts) == 1 and all(part.ndim == 3 for part in parts)


def _describe(array: np.ndarray[Any, Any]) -> str:
    return {"U": "text", "S": "text", "T": "text", "O": "Python objects"}.get(array.dtype.kind, "something")
