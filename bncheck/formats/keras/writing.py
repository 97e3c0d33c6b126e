"""Writing statistics into a Keras file: their bytes change where they stand, and nothing else does."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from bncheck.errors import ModelError
from bncheck.formats.keras import KERAS_ARCHIVE, WEIGHTS
from bncheck.formats.keras.archive import read_archive
from bncheck.formats.keras.hdf5 import checked_tree, h5py_module, tensor_of
from bncheck.formats.origin import Origin
from bncheck.formats.stored_values import in_form_of
from bncheck.results import Note
from bncheck.tensors import torch

if TYPE_CHECKING:
    from pathlib import Path

    from bncheck.formats.backend import Backend

_STDDEV = "moving_stddev"
_VARIANCE = "running_var"
_BLOCK = 2**20


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KerasOrigin(Origin):
    """An archive, or an HDF5 file.

    Attributes:
        places: the path of each tensor in the HDF5 file.
    """

    places: Mapping[str, str]

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Copy the file with these tensors changed: other members of an archive, other datasets and attributes stay."""
        changed = {self._place(name): value for name, value in (*tensors.items(), *self._deviations(model, tensors))}
        if self.container == KERAS_ARCHIVE:
            weights = io.BytesIO(read_archive(self.path)[1])
            _change(weights, len(weights.getbuffer()), changed, self.path)
            _with_member(self.path, target, WEIGHTS, weights.getvalue())
        else:
            shutil.copyfile(self.path, target)
            with target.open("r+b") as file:
                _change(file, self.path.stat().st_size, changed, self.path)
        return ()

    def _place(self, name: str) -> str:
        if name not in self.places:
            raise ModelError(f"{self.path} has no place for {name}, and nothing is added to it.")
        return self.places[name]

    def _deviations(self, model: Backend, tensors: Mapping[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
        """What Keras keeps of a variance once more, with `renorm=True`: its next step of training goes on from that."""
        eps = {layer.name: layer.eps or 0.0 for layer in model.layers}
        found = []
        for name, value in tensors.items():
            layer, _, leaf = name.rpartition(".")
            deviation = f"{layer}.{_STDDEV}".lstrip(".")
            if leaf == _VARIANCE and deviation in self.places:
                found.append((deviation, (value + eps.get(layer, 0.0)).clamp(min=0).sqrt()))
        return found


def _change(file: BinaryIO, size: int, changed: Mapping[str, torch.Tensor], path: Path) -> None:
    """Replace the values of these datasets: byte by byte where they stand in one piece, by HDF5 itself otherwise."""
    tree = checked_tree(file, size, path)
    with tree.root:
        forms = {at: in_form_of(tensor_of(tree.datasets[at], path), value, at) for at, value in changed.items()}
        stored = {at: _raw(tree.datasets[at], value) for at, value in forms.items()}
        offsets = {at: tree.datasets[at].id.get_offset() for at in changed}
    scattered = {at: raw for at, raw in stored.items() if offsets[at] is None}
    for at, raw in stored.items():
        if (offset := offsets[at]) is not None:
            file.seek(offset)
            file.write(raw.tobytes())
    file.flush()
    if scattered:
        with h5py_module().File(file, "r+") as root:
            for at, raw in scattered.items():
                root[at][...] = raw
    _require_written(file, size, forms, path)


def _require_written(file: BinaryIO, size: int, forms: Mapping[str, torch.Tensor], path: Path) -> None:
    """Read them back: what is laid out in a way that is not known here is told, not guessed."""
    tree = checked_tree(file, size, path)
    with tree.root:
        for at, value in forms.items():
            found = tensor_of(tree.datasets[at], path)
            if not torch.equal(found.reshape(-1), value.reshape(-1)) and bool(torch.isfinite(value).all()):
                raise ModelError(f"{path}: {at} cannot be replaced where it stands. Save the model again with Keras.")


def _raw(dataset: Any, value: torch.Tensor) -> Any:
    """The values as the dataset stores them."""
    if value.dtype == torch.bfloat16:
        return value.view(torch.int16).numpy().view(dataset.dtype)
    return value.numpy().astype(dataset.dtype)


def _with_member(source: Path, target: Path, name: str, content: bytes) -> None:
    """Copy an archive with the content of one member replaced; names, dates, order and the others' bytes stay."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        new.comment = old.comment
        for info in old.infolist():
            kept = _without_sizes(info)
            if info.filename == name:
                new.writestr(kept, content)
                continue
            with (
                old.open(info) as packed,
                new.open(kept, "w", force_zip64=info.file_size >= zipfile.ZIP64_LIMIT) as file,
            ):
                shutil.copyfileobj(packed, file, _BLOCK)


def _without_sizes(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry of a member that is yet to be written."""
    kept = zipfile.ZipInfo(info.filename, info.date_time)
    for attribute in ("compress_type", "comment", "create_system", "external_attr", "internal_attr"):
        setattr(kept, attribute, getattr(info, attribute))
    return kept
