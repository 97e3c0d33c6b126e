"""Conversion of the forms in which people hand data over to inputs and labels.

Accepted are ``x``, ``(x, y)`` and a dict. Of a dict, the key `y`, `label`, `labels`, `target` or `targets` is
the labels and the others are the inputs by name; a single one is the input itself. Labels of several outputs are a
dict by the outputs' keys, or a tuple in the outputs' order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bncheck.data.batches import Inputs, Labels, tensors
from bncheck.errors import DataError

LABEL_KEYS = ("y", "label", "labels", "target", "targets")
_WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def inputs_and_labels(value: object, where: str) -> tuple[Inputs, object]:
    """The inputs and, as they were given, the labels (`None` without) in `value`.

    Args:
        value: a tensor or array, a tuple or list ``(x,)`` or ``(x, y)``, or a dict.
        where: what errors call it.

    Raises:
        DataError: `value` has another form.
    """
    if isinstance(value, Mapping):
        return _split_named(value, where)
    if not isinstance(value, tuple | list):
        return to_tensor(value, f"{where}: the input"), None
    if len(value) not in (1, 2):
        raise DataError(
            f"{where}: a {type(value).__name__} of {len(value)} elements. Accepted are x, (x, y) and a dict; several "
            "inputs are ((x1, x2), y), or a dict of inputs by name; several labels are (x, (y1, y2)), or a dict of "
            "labels by output."
        )
    return _inputs(value[0], where), value[1] if len(value) == 2 else None


def to_tensor(value: object, what: str) -> torch.Tensor:
    """A tensor or NumPy array as a detached, plain tensor that shares its memory where torch can.

    Raises:
        DataError: `value` is something else, or holds something other than numbers, one after the other.
    """
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # a subclass's own functions are not ours to run
            return _plain(value, what)
    if not isinstance(value, np.ndarray):
        raise DataError(f"{what} is a {type_name(value)}, not a tensor or a NumPy array.")
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
    else:
        plain = tensor.detach()
        return plain if type(plain) is torch.Tensor else plain.as_subclass(torch.Tensor)
    raise DataError(f"{what} is {unfit[0]}: {unfit[1]}.")


def labels_of_all(value: object, where: str) -> Labels | None:
    """Labels of a whole data set: as they are, (N, 1) integers as (N,), strings numbered in sorted order."""
    return _labels(value, where, _numbered)


def labels_of_batch(value: object, where: str) -> Labels | None:
    """Labels of one batch: a tensor, an array or a plain list of numbers; (N, 1) integers become (N,).

    Those of several outputs are a dict of such, or a tuple or list of tensors or arrays, which are numbered.

    Raises:
        DataError: they are something else. Strings cannot be numbered before all of them are known.
    """
    return _labels(value, where, lambda one: one)


def _labels(value: object, where: str, prepare: Callable[[object], object]) -> Labels | None:
    if value is None:
        return None
    heads = _by_head(value)
    if heads is None:
        return _labels_of_one(prepare(value), where)
    if not heads:
        raise DataError(f"{where}: the labels are an empty {type_name(value)}.")
    found = {head: _labels_of_one(prepare(one), where, f" of {head}") for head, one in heads.items()}
    return next(iter(found.values())) if len(found) == 1 and not isinstance(value, Mapping) else found


def _by_head(value: object) -> dict[str, object] | None:
    """The labels of several outputs, each by the key or the index of its output; `None` where they are of one."""
    if isinstance(value, Mapping):
        return {str(head): one for head, one in value.items()}
    if not isinstance(value, tuple | list) or not all(isinstance(one, torch.Tensor | np.ndarray) for one in value):
        return None
    return {str(place): one for place, one in enumerate(value)}


def _numbered(value: object) -> object:
    if isinstance(value, np.ndarray) and value.dtype.kind in "UST":
        return np.unique(value, return_inverse=True)[1]
    return value


def _labels_of_one(value: object, where: str, whose: str = "") -> torch.Tensor:
    if isinstance(value, tuple | list) and all(isinstance(label, int | float) for label in value):
        value = np.asarray(value)
    labels = to_tensor(value, f"{where}: the label{whose}")
    if labels.is_complex():
        raise DataError(f"{where}: the labels{whose} are complex numbers; labels are classes or real numbers.")
    if labels.dtype in _WIDE_UNSIGNED:
        labels = labels.long()  # torch stores these and cannot compare them
        if labels.numel() and int(labels.min()) < 0:
            raise DataError(
                f"{where}: a label{whose} is {int(labels.min()) + 2**64}, which no class and no tensor can have."
            )
    if labels.is_floating_point() and labels.element_size() == 1:
        labels = labels.float()  # torch stores numbers of 8 bits and cannot compute with them
    is_column = labels.ndim == 2 and labels.shape[1] == 1
    return labels.squeeze(1) if is_column and not labels.is_floating_point() else labels


def number_of(labels: Labels, wanted: int) -> str:
    """How many labels there are, told of the first that are not as many as `wanted`."""
    found = tensors(labels)
    odd = next((one for one in found if one.ndim == 0 or len(one) != wanted), found[0])
    return f"{len(odd)} labels" if odd.ndim else "a single label"


def type_name(value: object) -> str:
    """The type of `value` as a reader knows it: ``list``, ``numpy.ndarray``."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _split_named(named: Mapping[Any, object], where: str) -> tuple[Inputs, object]:
    keys = [key for key in LABEL_KEYS if key in named]
    if len(keys) > 1:
        raise DataError(f"{where}: both {keys[0]!r} and {keys[1]!r} could be the labels; keep one of them.")
    inputs = {str(key): value for key, value in named.items() if key not in LABEL_KEYS}
    if not inputs:
        raise DataError(f"{where}: no input, only {', '.join(map(repr, named)) or 'nothing'}; expected 'x'.")
    labels = named[keys[0]] if keys else None
    return _inputs(next(iter(inputs.values())) if len(inputs) == 1 else inputs, where), labels


def _inputs(value: object, where: str) -> Inputs:
    if isinstance(value, Mapping):
        return {str(name): to_tensor(item, f"{where}: the input {name!r}") for name, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(to_tensor(item, f"{where}: input {index}") for index, item in enumerate(value))
    return to_tensor(value, f"{where}: the input")


def _describe(array: np.ndarray[Any, Any]) -> str:
    return {"U": "text", "S": "text", "T": "text", "O": "Python objects"}.get(array.dtype.kind, "something")
