"""A WebDataset `.tar`: files that share a name up to its first dot are one sample.

The tar is not streamed: its headers are read once, so that samples can be drawn at random from all of it.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bncheck.data.batches import Labels, tensors
from bncheck.data.decoding import decode_image, image_suffixes, read_together
from bncheck.data.forms.conversion import to_tensor
from bncheck.data.forms.targets import labels_of_all
from bncheck.data.kinds import FileKind
from bncheck.data.options import DataOptions
from bncheck.data.preprocess import Preprocessing
from bncheck.data.slicing.asking import column_of
from bncheck.data.slicing.names import LABEL, SliceColumn
from bncheck.data.sources.indexed import IndexedSource, Indices
from bncheck.errors import DataError
from bncheck.results import json_of
from bncheck.vocabulary import argument

_PICKLES = ("pyd", "pickle", "pkl", "pth", "pt")
_JSON_LABELS = ("label", "cls", "class")


@dataclass(frozen=True, slots=True)
class _Member:
    """A file within the tar: its name there, and where its content lies."""

    name: str
    offset: int
    size: int


_Sample = dict[str, _Member]


def tar_source(path: Path, options: DataOptions, name: str) -> IndexedSource:
    """A source over the samples in the tar `path`: an image or `.npy` each, labels from `.cls` or `.json`.

    Raises:
        DataError: the tar is damaged, a sample has no input or several, pickles, or only some have labels.
    """
    samples = _group(path)
    members = [_input(parts, f"{path}: sample {key}") for key, parts in samples.items()]
    preprocess = Preprocessing(options, name)

    read = _Members(path, members, preprocess)
    labels = _labels(path, samples)
    source = IndexedSource(name, len(members), labels, read, workers=options.workers)
    return source.sliced(_slices(path, samples, labels is not None, column_of(options.by)))


class _Members:
    """Reads samples by their numbers; a value, so that other processes can."""

    def __init__(self, path: Path, members: list[_Member], preprocess: Preprocessing) -> None:
        self._path = path
        self._members = members
        self._preprocess = preprocess

    def __call__(self, chosen: Indices) -> torch.Tensor:
        return read_together(self.one, [self._members[index] for index in chosen], lambda member: member.name)

    def one(self, member: _Member) -> torch.Tensor:
        content, where = _content(self._path, member), f"{self._path}: {member.name}"
        if not member.name.endswith(".npy"):
            return self._preprocess.images(decode_image(content, where), where)
        return tensors(self._preprocess(_array(content, where).unsqueeze(0)))[0]


def _group(path: Path) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    for member in _members(path):
        folder, _, base = member.name.rpartition("/")
        key, _, suffix = base.partition(".")
        if not key:
            continue  # hidden
        parts = samples.setdefault(f"{folder}/{key}" if folder else key, {})
        if suffix.lower() in parts:
            raise DataError(f"{path}: {member.name} is in it twice.")
        parts[suffix.lower()] = member
    return samples


def _members(path: Path) -> list[_Member]:
    try:
        with tarfile.open(path, "r:") as archive:
            return [_Member(item.name, item.offset_data, item.size) for item in archive if item.isfile()]
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an uncompressed tar: {error}.") from error


def _input(parts: _Sample, where: str) -> _Member:
    pickled = [parts[suffix].name for suffix in _PICKLES if suffix in parts]
    if pickled:
        raise DataError(f"{where}: {pickled[0]} is a pickle, which could run code and is not read; store .npy.")
    found = [member for suffix, member in parts.items() if suffix == "npy" or f".{suffix}" in image_suffixes()]
    if len(found) != 1:
        names = ", ".join(member.name for member in parts.values())
        raise DataError(f"{where} has {len(found)} inputs, expected one image or .npy; its files are {names}.")
    return found[0]


def _array(content: bytes, where: str) -> torch.Tensor:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{where} cannot be read as an .npy array: {error}") from error
    return to_tensor(array, where)


def _labels(path: Path, samples: dict[str, _Sample]) -> Labels | None:
    labels = {key: _label(path, parts) for key, parts in samples.items()}
    missing = [key for key, label in labels.items() if label is None]
    if len(missing) == len(labels):
        return None
    if missing:
        raise DataError(f"{path}: {len(missing)} of {len(labels)} samples have no label, among them {missing[0]}.")
    if len({type(label) for label in labels.values()}) > 1:
        raise DataError(f"{path}: some labels are numbers and some are text.")
    return labels_of_all(np.asarray(list(labels.values())), str(path))


def _label(path: Path, parts: _Sample) -> int | str | None:
    if "cls" in parts:
        text = _text(path, parts["cls"])
        try:
            return int(text)
        except ValueError as error:
            raise DataError(f"{path}: {parts['cls'].name} holds {text[:40]!r}, not the number of a class.") from error
    return _json_label(path, parts["json"]) if "json" in parts else None


def _slices(path: Path, samples: dict[str, _Sample], labelled: bool, by: str | None) -> SliceColumn | None:
    """The slice of each sample: a key of its `.json`, the text of its member of that suffix, or its label.

    Raises:
        DataError: no sample has any such.
    """
    if by is None:
        return None
    values = [_field(path, parts, by) for parts in samples.values()]
    if by == LABEL and labelled and all(value is None for value in values):
        values = [_label(path, parts) for parts in samples.values()]
    if all(value is None for value in values):
        raise DataError(
            f"{path}: {argument('by')} {by}: no sample has such a key in its .json, nor a member *.{by}; the files of "
            f"the first are {', '.join(member.name for member in next(iter(samples.values())).values())}."
        )
    return SliceColumn.of(values, len(values), str(path))


def _field(path: Path, parts: _Sample, name: str) -> object:
    if name.lower() in parts and name.lower() not in ("npy", "json") and f".{name.lower()}" not in image_suffixes():
        return _text(path, parts[name.lower()])
    fields = _json(path, parts["json"]) if "json" in parts else None
    found = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(found, dict | list):
        raise DataError(f"{path}: {name!r} in {parts['json'].name} is {found!r:.60}, not a single value.")
    return found


def _json(path: Path, member: _Member) -> Any:
    try:
        return json_of(_text(path, member))
    except ValueError as error:
        raise DataError(f"{path}: {member.name} cannot be read as JSON: {error}.") from error


def _json_label(path: Path, member: _Member) -> int | str | None:
    fields = _json(path, member)
    keys = [key for key in _JSON_LABELS if isinstance(fields, dict) and key in fields]
    if not keys:
        return None
    label = fields[keys[0]]
    if not isinstance(label, int | str):
        raise DataError(f"{path}: {keys[0]!r} in {member.name} is {label!r}, expected a number or text.")
    return label


def _text(path: Path, member: _Member) -> str:
    return _content(path, member).decode("utf-8", errors="replace").strip()


def _content(path: Path, member: _Member) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


KINDS = (FileKind((".tar",), tar_source, lambda _, start: start[257:262] == b"ustar"),)
