"""What gives samples and not batches: data sets of Hugging Face, and streams of PyTorch that no loader stands before.

Hugging Face's `datasets` is never imported: its objects are known by what they have. Nothing is set on them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from bncheck.data.forms.parts import LABEL_KEYS, is_text
from bncheck.errors import DataError

TOGETHER = 64
"""Samples that are put together; batches of the size that is wanted are made of them later."""


def batches_of(given: Any, name: str) -> Any:
    """`given`, or a loader of batches where it gives samples.

    Raises:
        DataError: it is several data sets by name.
    """
    if isinstance(given, Mapping):
        splits = [str(split) for split, held in given.items() if is_table(held) or is_streamed(held)]
        if splits and len(splits) == len(given):
            raise DataError(f"{name}: several data sets, {', '.join(splits[:8])}: give one of them.")
        return given
    if is_table(given):
        return DataLoader(_Rows(given), batch_size=TOGETHER, shuffle=True, collate_fn=columns_of)
    if is_streamed(given) or (isinstance(given, IterableDataset) and not isinstance(given, DataLoader)):
        return _Grouped(given)
    return given


def is_table(given: object) -> bool:
    """Whether it is a data set of Hugging Face with random access: rows by number, each a dict."""
    has_rows = hasattr(given, "__getitem__") and hasattr(given, "__len__")
    return has_rows and _has_features(given)


def is_streamed(given: object) -> bool:
    """Whether it is one that is read from the front."""
    return hasattr(given, "__iter__") and not hasattr(given, "__getitem__") and _has_features(given)


def _has_features(given: object) -> bool:
    return hasattr(given, "features") and (hasattr(given, "set_format") or hasattr(given, "with_format"))


class _Rows(Dataset[Any]):
    """The rows, by number."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, number: int) -> Any:
        return self._table[number]


class _Grouped:
    """Samples put together as they come; what is a batch already passes as it is."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        samples = iter(self._stream)
        first = next(samples, None)
        if first is None:
            return
        samples = chain((first,), samples)
        if not _is_sample(first) and not is_streamed(self._stream):
            yield from samples
            return
        while rows := list(islice(samples, TOGETHER)):
            yield columns_of(rows) if isinstance(rows[0], Mapping) else default_collate(rows)


def _is_sample(item: Any) -> bool:
    """Whether it is one sample: its label is a single one."""
    if isinstance(item, Mapping):
        return any(_is_single(item[name]) for name in LABEL_KEYS if name in item)
    return isinstance(item, tuple | list) and len(item) > 1 and _is_single(item[-1])


def _is_single(label: Any) -> bool:
    return isinstance(label, int | float | str | np.generic) or (
        isinstance(label, torch.Tensor | np.ndarray) and label.ndim == 0
    )


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as one batch: by column an array with the samples first, or a list where they are of several shapes."""
    return {name: _column([row[name] for row in rows]) for name in rows[0]}


def _column(values: list[Any]) -> Any:
    if any(map(is_text, values)) or any(isinstance(value, Mapping) for value in values):
        return values
    arrays = [_array(value) for value in values]
    if any(array.dtype.kind not in "biufc" for array in arrays):
        return values
    shapes = {array.shape for array in arrays}
    return np.stack(arrays) if len(shapes) == 1 else [torch.from_numpy(array) for array in arrays]


def _array(value: Any) -> np.ndarray[Any, Any]:
    """A value as an array: numbers, lists of them, tensors, and images as those of a folder are read, (3, H, W)."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    images = sys.modules.get("PIL.Image")  # who has an image has imported this
    if images is not None and isinstance(value, images.Image):
        from bncheck.data.decoding import to_rgb

        return np.array(to_rgb(value)).transpose(2, 0, 1)
    try:
        return np.asarray(value)
    except ValueError:  # lists of lists of several lengths
        return np.asarray(None)
