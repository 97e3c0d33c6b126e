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
from types import NoneType
from typing import Any

import numpy as np
import onnx

from bncheck.core import FloatArray, NormLayer
from bncheck.errors import ModelError
from bncheck.formats.folding import AffineOperation, Fold, Reference, Source
from bncheck.vocabulary import argument

KEY = "bncheck.stamp"
VERSION = 1
_ARRAYS = 6


def provenance_text(
    reference: Reference, folds: Sequence[Fold], operations: Mapping[int | str, AffineOperation]
) -> str:
    """The metadata on the layers that were folded, and on all others of `reference`."""
    folded = {fold.layer.name: fold for fold in folds}
    layers = [(layer, folded.get(layer.name)) for layer in reference.layers]
    entries = [_entry(layer, fold, operations) for layer, fold in layers]
    values = [_arrays(layer, fold, operations) for layer, fold in layers]
    packed = np.concatenate([array for arrays in values for array in arrays]).astype("<f4").tobytes()
    return json.dumps(
        {
            "version": VERSION,
            "reference": {"path": reference.path.replace("\\", "/").rpartition("/")[2], "sha256": reference.sha256},
            "layers": entries,
            "values": base64.b85encode(zlib.compress(packed, 9)).decode("ascii"),
        },
        separators=(",", ":"),
    )


def read_provenance(proto: onnx.ModelProto, path: str) -> Reference | None:
    """The reference that the file's stamp keeps; `None` where it has no stamp.

    Raises:
        ModelError: the stamp is damaged, or of a later version.
    """
    text = next((entry.value for entry in proto.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        content = json.loads(text)
        version = _checked(content["version"], int)
        if version != VERSION:
            raise ModelError(
                f"The stamp of {path} is of version {version}; this bncheck reads {VERSION}. Use the version that "
                "wrote it, or stamp the model again."
            )
        entries = [_read_entry(entry) for entry in _checked(content["layers"], list)]
        return _reference(entries, _unpacked(_checked(content["values"], str), entries), content["reference"], path)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError, zlib.error) as error:
        raise ModelError(
            f"The stamp of {path} is damaged. Stamp the exported model again, or use {argument('reference')}."
        ) from error


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


def _entry(layer: NormLayer, fold: Fold | None, operations: Mapping[int | str, AffineOperation]) -> dict[str, Any]:
    known = layer if fold is None else fold.layer
    return {
        "name": layer.name,
        "kind": layer.kind,
        "channels": layer.channels,
        "eps": known.eps,
        "momentum": layer.momentum,
        "updates": layer.updates,
        "affine": [layer.weight is not None, layer.bias is not None],
        "weight": None if fold is None else operations[fold.key].name,
    }


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


def _read_entry(entry: Any) -> dict[str, Any]:
    """The description of a layer, every value of the type it has to have."""
    return {
        "name": _checked(entry["name"], str),
        "kind": _checked(entry["kind"], str),
        "channels": _at_least(_checked(entry["channels"], int), 1),
        "eps": _at_least(_checked(entry["eps"], float, int, NoneType), 0),
        "momentum": _at_least(_checked(entry["momentum"], float, int, NoneType), 0),
        "updates": _at_least(_checked(entry["updates"], int, NoneType), 0),
        "affine": [_checked(has, bool) for has in _checked(entry["affine"], list)],
        "weight": _checked(entry["weight"], str, NoneType),
    }


def _checked(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError(f"{value!r} is none of {types}")
    return value


def _at_least(value: Any, least: float) -> Any:
    """The number, which must be finite; `None` may stand for one that is not known."""
    if value is not None and not (least <= value < math.inf):
        raise ValueError(f"{value} is out of range")
    return value


def _rows(entry: Mapping[str, Any]) -> int:
    return _ARRAYS if entry["weight"] is not None else _ARRAYS - 2


def _unpacked(packed: str, entries: Sequence[Mapping[str, Any]]) -> FloatArray:
    """The numbers of all layers; no more is unpacked than they are."""
    expected = 4 * sum(_rows(entry) * entry["channels"] for entry in entries)
    content = zlib.decompressobj().decompress(base64.b85decode(packed), expected + 1)
    if len(content) != expected:
        raise ValueError(f"{len(content)} bytes instead of {expected}")
    return np.frombuffer(content, "<f4").astype(np.float64)


def _reference(
    entries: Sequence[Mapping[str, Any]], values: FloatArray, origin: Mapping[str, Any], path: str
) -> Reference:
    layers: list[NormLayer] = []
    sources: list[Source] = []
    start = 0
    for entry in entries:
        channels, rows = entry["channels"], _rows(entry)
        block = values[start : start + rows * channels].reshape(rows, channels)
        start += rows * channels
        has_weight, has_bias = entry["affine"]
        layers.append(
            NormLayer(
                name=entry["name"],
                kind=entry["kind"],
                channels=channels,
                mean=block[0],
                var=block[1],
                eps=entry["eps"],
                momentum=entry["momentum"],
                updates=entry["updates"],
                weight=block[2] if has_weight else None,
                bias=block[3] if has_bias else None,
                dtype="float32",
            )
        )
        if rows == _ARRAYS:
            sources.append(Source(entry["weight"], norms=block[5], bias=block[4], layer=entry["name"]))
    sha256 = _checked(origin["sha256"], str, NoneType)
    return Reference(path, tuple(layers), tuple(sources), sha256=sha256, stamped=True)
