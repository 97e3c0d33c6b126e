"""Labels in the forms in which people hand them over, as tensors; what cannot be read as such is left out, and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bncheck.data.batches import Labels, tensors
from bncheck.data.forms.conversion import to_tensor
from bncheck.data.forms.parts import entries, is_text, type_name
from bncheck.errors import DataError
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

_WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def labels_of_all(value: object, where: str) -> Labels | None:
    """Labels of a whole data set: as they are, (N, 1) integers as (N,), texts numbered in sorted order."""
    return _labels(value, where, _numbered)


def labels_of_batch(value: object, where: str) -> Labels | None:
    """Labels of one batch: a tensor, an array or a plain list of numbers; (N, 1) integers become (N,).

    Those of several outputs are a dict of such, or a tuple or list of tensors or arrays, which are numbered. Of a dict
    those are read that can be.

    Raises:
        DataError: they are something else. Strings cannot be numbered before all of them are known.
    """
    return _labels(value, where, lambda one: one)


def unread(value: object, size: int, depth: int = 0) -> str | None:
    """What labels are that no output could be judged by: boxes of every image, say; `None` where they may be read.

    Args:
        value: as it was given.
        size: samples in the batch.
        depth: how deep it stands within others.

    >>> unread([{"boxes": torch.zeros(3, 4)}, {"boxes": torch.zeros(1, 4)}], 2)
    'a list of dict'
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        if depth:
            return with_article(type_name(value))
        held = [unread(one, size, depth + 1) or _odd_kind(one) for one in value.values()]
        return f"{with_article(type_name(value))} of {held[0]}" if held and all(held) and held[0] else None
    if not isinstance(value, tuple | list) or not value or all(isinstance(one, int | float) for one in value):
        return _odd_kind(value)
    if all(isinstance(one, torch.Tensor | np.ndarray) for one in value):
        are_outputs = all(entries(one) == size for one in value)
        ragged = len(value) == size and not are_outputs
        return f"{with_article(type_name(value))} of {type_name(value[0])}, one for each sample" if ragged else None
    odd = next((one for one in value if not isinstance(one, int | float | torch.Tensor | np.ndarray)), value[0])
    return f"{with_article(type_name(value))} of {type_name(odd)}"


def number_of(labels: Labels, wanted: int) -> str:
    """How many labels there are, told of the first that are not as many as `wanted`."""
    found = tensors(labels)
    odd = next((one for one in found if one.ndim == 0 or len(one) != wanted), found[0])
    return f"{len(odd)} labels" if odd.ndim else "a single label"


def _odd_kind(value: object) -> str | None:
    """The type of what is neither numbers nor holds any."""
    held = (torch.Tensor, np.ndarray, int, float, Mapping, Sequence)
    return with_article(type_name(value)) if isinstance(value, str | bytes) or not isinstance(value, held) else None


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
        read = {str(head): one for head, one in value.items() if not is_text(one) and not isinstance(one, Mapping)}
        return read or {str(head): one for head, one in value.items()}
    if not isinstance(value, tuple | list) or not all(isinstance(one, torch.Tensor | np.ndarray) for one in value):
        return None
    return {str(place): one for place, one in enumerate(value)}


def _numbered(value: object) -> object:
    """Texts by their place in the alphabet, unless all of them are numbers of classes already."""
    if not (isinstance(value, np.ndarray) and value.dtype.kind in "UST"):
        return value
    texts, places = np.unique(value, return_inverse=True)
    try:
        return texts.astype(np.int64)[places]
    except (ValueError, OverflowError):
        return places


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
