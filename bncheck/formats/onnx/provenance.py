"""Provenance metadata, a stamp: what a reference knows of a folded ONNX model, kept in the model's own file.

One metadata entry of JSON. Numbers per channel are float32, in the order mean, variance, gamma, beta, bias and row
norms of the weight before the folding, compressed; a stamp is small beside the weights it describes.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx

from bncheck.core import FloatArray, NormLayer, in_float64
from bncheck.errors import ModelError, UnreadableError
from bncheck.formats.folding import AffineOperation, Fold, Reference, Source
from bncheck.results import MisfitError, Origin, Written, decoded, encoded
from bncheck.vocabulary import argument

KEY = "bncheck.stamp"
VERSION = 1
_ARRAYS = 6


def _require_layer(entry: _Entry) -> _Entry:
    """Numbers are of the size that they can have, where they are known."""
    known = (value for value in (entry.eps, entry.momentum, entry.updates) if value is not None)
    if entry.channels < 1 or len(entry.affine) != 2 or not all(0 <= value < math.inf for value in known):
        raise MisfitError("a layer", entry.name)
    return entry


@dataclass(frozen=True, slots=True)
class _Entry:
    """A layer, as far as no array holds it; `weight` is the operation's that it was folded into."""

    name: str
    kind: str
    channels: int
    eps: float | None
    momentum: float | None
    updates: int | None
    affine: tuple[bool, ...]
    weight: str | None

    __json__: ClassVar = Written(settled=_require_layer)

    @property
    def rows(self) -> int:
        """How many arrays it has."""
        return _ARRAYS if self.weight is not None else _ARRAYS - 2


@dataclass(frozen=True, slots=True)
class _WrittenFrom:
    """The reference that was read."""

    path: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class _Provenance:
    """All of it; `values` are the arrays of all layers, compressed."""

    version: int
    reference: _WrittenFrom
    layers: tuple[_Entry, ...]
    values: str


def provenance_text(
    reference: Reference, folds: Sequence[Fold], operations: Mapping[int | str, AffineOperation]
) -> str:
    """The metadata on the layers that were folded, and on all others of `reference`."""
    folded = {fold.layer.name: fold for fold in folds}
    layers = [(layer, folded.get(layer.name)) for layer in reference.layers]
    entries = [_entry(layer, fold, operations) for layer, fold in layers]
    values = [_arrays(layer, fold, operations) for layer, fold in layers]
    packed = np.concatenate([array for arrays in values for array in arrays]).astype("<f4").tobytes()
    provenance = _Provenance(
        version=VERSION,
        reference=_WrittenFrom(reference.path.replace("\\", "/").rpartition("/")[2], reference.sha256),
        layers=tuple(entries),
        values=base64.b85encode(zlib.compress(packed, 9)).decode("ascii"),
    )
    return json.dumps(encoded(provenance), separators=(",", ":"))


def read_provenance(proto: onnx.ModelProto, path: str) -> Reference | None:
    """The reference that the file's stamp keeps; `None` where it has no stamp.

    Raises:
        ModelError: the stamp is damaged, or of a later version.
    """
    text = next((entry.value for entry in proto.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    damaged = f"The stamp of {path} is damaged. Stamp the exported model again, or use {argument('reference')}."
    try:
        content = json.loads(text)
        version = content["version"]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(damaged) from error
    if type(version) is int and version != VERSION:
        raise ModelError(
            f"The stamp of {path} is of version {version}; this bncheck reads {VERSION}. Use the version that wrote "
            "it, or stamp the model again."
        )
    try:
        provenance = decoded(_Provenance, content, Origin(path, "stamp"))
        return _reference(provenance, _unpacked(provenance.values, provenance.layers), path)
    except (UnreadableError, ValueError, OverflowError, RecursionError, zlib.error) as error:
        raise ModelError(damaged) from error


def with_metadata(content: bytes, text: str) -> bytes:
    """The file's content with `text` in place of the provenance metadata it may have had."""
    proto = onnx.ModelProto()
    proto.ParseFromString(content)
    kept = [entry for entry in proto.metadata_props if entry.key != KEY]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    proto.metadata_props.add(key=KEY, value=text)
    written: bytes = proto.SerializeToString()
    return written


def _entry(layer: NormLayer, fold: Fold | None, operations: Mapping[int | str, AffineOperation]) -> _Entry:
    known = layer if fold is None else fold.layer
    return _Entry(
        name=layer.name,
        kind=layer.kind,
        channels=layer.channels,
        eps=known.eps,
        momentum=layer.momentum,
        updates=layer.updates,
        affine=(layer.weight is not None, layer.bias is not None),
        weight=None if fold is None else operations[fold.key].name,
    )


def _arrays(layer: NormLayer, fold: Fold | None, operations: Mapping[int | str, AffineOperation]) -> list[FloatArray]:
    gamma = np.ones(layer.channels) if layer.weight is None else layer.weight
    beta = np.zeros(layer.channels) if layer.bias is None else layer.bias
    mean, var = np.asarray(layer.mean), np.asarray(layer.var)
    if fold is None:
        return [mean, var, gamma, beta]
    operation = operations[fold.key]
    gain = np.where(fold.visible, gamma / np.sqrt(var + (fold.layer.eps or 0.0)), np.inf)
    bias = np.where(fold.visible, (operation.offset - beta) / gain + mean, 0.0)
    return [mean, var, gamma, beta, bias, np.linalg.norm(operation.rows, axis=1) / np.abs(gain)]


def _unpacked(packed: str, entries: Sequence[_Entry]) -> FloatArray:
    """The numbers of all layers; no more is unpacked than they are."""
    expected = 4 * sum(entry.rows * entry.channels for entry in entries)
    content = zlib.decompressobj().decompress(base64.b85decode(packed), expected + 1)
    if len(content) != expected:
        raise ValueError(f"{len(content)} bytes instead of {expected}")
    return in_float64(np.frombuffer(content, "<f4"))


def _reference(provenance: _Provenance, values: FloatArray, path: str) -> Reference:
    layers: list[NormLayer] = []
    sources: list[Source] = []
    start = 0
    for entry in provenance.layers:
        channels, rows = entry.channels, entry.rows
        block = values[start : start + rows * channels].reshape(rows, channels)
        start += rows * channels
        has_weight, has_bias = entry.affine
        layers.append(
            NormLayer(
                name=entry.name,
                kind=entry.kind,
                channels=channels,
                mean=block[0],
                var=block[1],
                eps=entry.eps,
                momentum=entry.momentum,
                updates=entry.updates,
                weight=block[2] if has_weight else None,
                bias=block[3] if has_bias else None,
                dtype="float32",
            )
        )
        if entry.weight is not None:
            sources.append(Source(entry.weight, norms=block[5], bias=block[4], layer=entry.name))
    return Reference(path, tuple(layers), tuple(sources), sha256=provenance.reference.sha256, stamped=True)
