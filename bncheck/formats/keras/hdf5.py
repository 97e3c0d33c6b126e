"""HDF5 without trust: groups, numbers and texts of the file itself, and nothing it leads to.

Links to other files, links by name, data kept in other files and views of other datasets are refused before they are
followed; what is declared is held against the size of the file before anything is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from bncheck.errors import ModelError
from bncheck.extras import missing
from bncheck.formats.declared import require_backed
from bncheck.tensors import torch

_MOST, _DEEPEST = 500_000, 100
"""Objects of a file, and levels of its groups."""
_FILTERS = {1, 2, 3, 32000}
"""Compression that h5py brings along: deflate, shuffle, fletcher32, lzf. Any other would load a plugin."""
_BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """What an open file holds.

    Attributes:
        root: the file.
        datasets: by their paths, in the file's order.
        groups: by their paths, the root as `""`.
    """

    root: Any
    datasets: Mapping[str, Any]
    groups: Mapping[str, Any]


def h5py_module() -> Any:
    """The library.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise missing("h5py", "Reading files of Keras") from error
    return h5py


def checked_tree(file: BinaryIO, size: int, path: object) -> Tree:
    """Everything in a file, none of its values read yet; the root is to be closed by the caller.

    Args:
        file: opened for reading.
        size: its bytes.
        path: for messages.

    Raises:
        ModelError: it is damaged, leads elsewhere, or declares far more than it holds.
    """
    root = h5py_module().File(file, "r")
    datasets: dict[str, Any] = {}
    groups: dict[str, Any] = {"": root}
    declared = 0
    for name, item in _items(root, "", 0, {_address(root)}, path):
        if len(datasets) + len(groups) > _MOST:
            raise ModelError(f"{path} holds more than {_MOST} objects: it is damaged or was made up, and was not read.")
        if isinstance(item, h5py_module().Group):
            groups[name] = item
        elif isinstance(item, h5py_module().Dataset):
            declared += _declared(item, name, path)
            require_backed(declared, size, f"{name} of {path}")
            datasets[name] = item
    return Tree(root, datasets, groups)


def tensor_of(dataset: Any, path: object) -> torch.Tensor:
    """The values of a dataset, in the type they are stored in.

    Raises:
        ModelError: they are no numbers.
    """
    if is_bfloat16(dataset):
        raw = np.array(dataset[()]).view(np.int16)
        return torch.from_numpy(raw.astype(np.int16)).view(torch.bfloat16).reshape(dataset.shape)
    if dataset.dtype.kind not in "fiub":
        raise ModelError(f"{path}: {dataset.name} holds {dataset.dtype}, where weights are numbers.")
    values = np.array(dataset[()])
    return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), copy=False))


def is_bfloat16(dataset: Any) -> bool:
    """Whether it is what Keras writes bfloat16 as: two bytes without a type, and a word beside them."""
    dtype: np.dtype[Any] = dataset.dtype
    return dtype.kind == "V" and dtype.itemsize == 2 and text_at(dataset, "dtype") == _BFLOAT16


def text_at(item: Any, name: str) -> str | None:
    """An attribute that is a text; `None` where there is none."""
    found = item.attrs.get(name)
    if isinstance(found, bytes):
        return found.decode("utf-8", "replace")
    return found if isinstance(found, str) else None


def texts_at(item: Any, name: str) -> tuple[str, ...] | None:
    """An attribute that is a list of texts, in pieces (`name0`, `name1`, ...) where it was long; `None` without."""
    if name in item.attrs:
        pieces = [item.attrs[name]]
    else:
        count = next(number for number in range(_MOST) if f"{name}{number}" not in item.attrs)
        pieces = [item.attrs[f"{name}{number}"] for number in range(count)]
    if not pieces:
        return None
    listed = [one for piece in pieces for one in np.asarray(piece, dtype=object).reshape(-1).tolist()]
    return tuple(one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in listed)


def _items(group: Any, prefix: str, depth: int, seen: set[int], path: object) -> Iterator[tuple[str, Any]]:
    """Every object below a group, by its path; each stands in one place."""
    library = h5py_module()
    if depth > _DEEPEST:
        raise ModelError(f"{path} nests groups deeper than {_DEEPEST} levels: it was made up, and was not read.")
    for name in group:
        full = f"{prefix}{name}"
        link = group.get(name, getlink=True)
        if not isinstance(link, library.HardLink):
            kind = "another file" if isinstance(link, library.ExternalLink) else "a place by its name"
            raise ModelError(f"{path}: {full} is a link to {kind}, which Keras does not write; it was not followed.")
        item = group[name]
        if (address := _address(item)) in seen:
            raise ModelError(f"{path} has {full} in two places, which Keras does not write; it was not read.")
        seen.add(address)
        yield full, item
        if isinstance(item, library.Group):
            yield from _items(item, f"{full}/", depth + 1, seen, path)


def _address(item: Any) -> int:
    return int(h5py_module().h5o.get_info(item.id).addr)


def _declared(dataset: Any, name: str, path: object) -> int:
    """The bytes its values take; a dataset whose values stand elsewhere is refused."""
    properties = dataset.id.get_create_plist()
    elsewhere = dataset.is_virtual or dataset.external or properties.get_external_count()
    if elsewhere:
        raise ModelError(f"{path}: {name} keeps its values in other files or datasets, which were not opened.")
    filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    if unknown := filters - _FILTERS:
        raise ModelError(f"{path}: {name} is compressed by a plugin ({min(unknown)}), which was not loaded.")
    if dataset.shape is None:
        raise ModelError(f"{path}: {name} holds nothing. Save the model again.")
    return int(math.prod(dataset.shape)) * int(dataset.dtype.itemsize)
