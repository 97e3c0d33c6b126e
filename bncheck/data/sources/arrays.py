"""Arrays in memory: what an array file held, or what the library was handed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bncheck.data.batches import map_tensors, tensors
from bncheck.data.forms.conversion import inputs_and_labels, slices_in
from bncheck.data.forms.targets import labels_of_all
from bncheck.data.options import DataOptions
from bncheck.data.preprocess import Preprocessing
from bncheck.data.slicing.names import SliceColumn
from bncheck.data.sources.indexed import IndexedSource
from bncheck.errors import DataError
from bncheck.results import Note
from bncheck.vocabulary import argument

_CLAIMED = 2**32
"""Bytes that an array may stand for without holding them."""


def array_source(
    name: str, value: object, options: DataOptions, *, hint: str = "", notes: Sequence[Note] = ()
) -> IndexedSource:
    """A source over ``x``, ``(x, y)`` or a dict of arrays.

    The arrays stay as they are, uint8 images too, and are preprocessed batch by batch. `hint` is what to try where a
    model refuses them, `notes` what is known of them already.

    Raises:
        DataError: another form, no samples, or arrays of different lengths.
        UsageError: an option does not apply to such arrays.
    """
    inputs, labels = inputs_and_labels(value, name, options)
    count = _shared_length(tensors(inputs), name)
    preprocess = Preprocessing(options, name)
    # An option that does not fit is told now, not after the model was loaded and run.
    preprocess(map_tensors(inputs, lambda tensor: tensor[:1]))
    named = slices_in(value, labels, name, options)
    slices = None if named is None else SliceColumn.of(named, count, f"{name}: {argument('by')} {options.by}")
    return IndexedSource(
        name,
        count,
        labels_of_all(labels, name),
        lambda chosen: preprocess(map_tensors(inputs, lambda tensor: tensor[torch.from_numpy(chosen)])),
        notes=(*notes, *preprocess.notes),
        hint=hint,
    ).sliced(slices)


def _shared_length(arrays: tuple[torch.Tensor, ...], name: str) -> int:
    if any(array.ndim == 0 for array in arrays):
        raise DataError(f"{name}: an array without axes; the first axis must be the sample.")
    for array in arrays:
        claimed, held = array.nbytes, array.untyped_storage().nbytes()
        if claimed > max(held, _CLAIMED):
            raise DataError(
                f"{name}: an array of shape {tuple(array.shape)} claims {claimed} bytes and holds {held}: it repeats "
                "itself (`expand`). Save the samples themselves."
            )
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) != 1:
        raise DataError(f"{name}: its inputs have different numbers of samples: {', '.join(map(str, lengths))}.")
    return lengths[0]
