"""`.npz`, `.npy` and `.pt` as data: arrays of every type and shape, headers that lie, containers of anything."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from fuzz.case import Files, Format
from fuzz.samples import LABELS, SAMPLES, images, saved, zipped
from fuzz.tensors import PAYLOADS, PLAIN, files, tensors
from fuzz.values import TEXTS

_DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16", ">f4", "S3", "U3"]
_DTYPES += ["M8[s]", "m8[s]", "V4", "g", "O"]
_IMAGES = [
    images().shape,
    (SAMPLES, 3),
    (0, 3, 6, 6),
    (SAMPLES, 6, 6, 3),
    (SAMPLES, 6, 6),
    (1, 3, 6, 6),
    (),
    (SAMPLES,),
]
_IMAGES += [(SAMPLES, 1, 6, 6), (SAMPLES, 3, 0, 6), (SAMPLES, 3, 6, 6, 1, 1), (SAMPLES, 4, 6, 6)]
_LABELS = [(SAMPLES,), (SAMPLES,), (SAMPLES - 1,), (SAMPLES, 1), (SAMPLES, 3), (0,), (), (2 * SAMPLES,)]
_SCALES = [1.0, 0.0, float("nan"), float("inf"), 1e30, -5.0, 1e300, 2.0**40, 255.0]
_HEADERS = [
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (24, 3, 6, 600000000000), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (-24, 3), }",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (24,), }",
    b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (24,), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"9" * 400 + b",), }",
    b"{'descr': '<f4', 'fortran_order': True, 'shape': " + b"(" * 400 + b"}",
    b"{'descr': '<f4', 'fortran_order': 9, 'shape': (24, 3, 6, 6), 'x': 1}",
    b"[1]",
    b"\xff\xfe",
]


@st.composite
def _arrays(draw: st.DrawFn, shapes: list[tuple[int, ...]], sound: np.ndarray) -> np.ndarray:
    shape = draw(st.sampled_from(shapes))
    dtype = draw(st.sampled_from(_DTYPES))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = np.resize(sound, shape) * draw(st.sampled_from(_SCALES))
        if draw(st.booleans()) and values.size:
            values = np.array(values)
            values.flat[-1] = draw(st.sampled_from([np.nan, np.inf, -1, 7, 1e10]))
        try:
            return np.asarray(values).astype(dtype)
        except (ValueError, TypeError):
            return np.zeros(shape, dtype)


def _written(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@st.composite
def _npy(draw: st.DrawFn, shapes: list[tuple[int, ...]], sound: np.ndarray) -> bytes:
    """An array as NumPy writes it, or one whose header says something else."""
    content = _written(draw(_arrays(shapes, sound)))
    if draw(st.integers(0, 4)):
        return content
    header = draw(st.sampled_from(_HEADERS)) + b"\n"
    major = draw(st.sampled_from([1, 2, 3, 9]))
    length = len(header).to_bytes(2 if major == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([major, 0]) + length + header + content[128:]


@st.composite
def _npz(draw: st.DrawFn) -> bytes:
    members = {"x": draw(_npy(_IMAGES, images()))}
    if draw(st.integers(0, 3)):
        members["y"] = draw(_npy(_LABELS, LABELS))
    for _ in range(draw(st.sampled_from([0, 0, 1]))):
        members[draw(TEXTS)] = draw(st.one_of(_npy(_LABELS, LABELS), st.binary(max_size=20)))
    if draw(st.integers(0, 9)) == 0:
        del members["x"]
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", draw(st.sampled_from([0, 8]))) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"{name[:60_000]}.npy"), content)
    return stream.getvalue()


@st.composite
def _batches(draw: st.DrawFn) -> Any:
    x = draw(st.one_of(tensors([*_IMAGES, *_IMAGES]), st.just(torch.from_numpy(images()))))
    y = draw(st.one_of(tensors(_LABELS), st.just(torch.from_numpy(LABELS)), PLAIN))
    forms = st.sampled_from(["x", "pair", "dict", "list", "named", "payload", "plain", "tuple of three", "ragged"])
    match draw(forms):
        case "x":
            return x
        case "pair":
            return x, y
        case "dict":
            return {"x": x, "y": y}
        case "list":
            return [(x, y)] * draw(st.integers(0, 3))
        case "named":
            return {draw(TEXTS): x, "y": y, draw(st.one_of(TEXTS, st.integers(0, 3))): y}
        case "payload":
            return draw(PAYLOADS)
        case "tuple of three":
            return x, y, y
        case "ragged":
            return [(torch.from_numpy(images(3)), y), (torch.from_numpy(images(3))[..., :4], y)]
        case _:
            return draw(PLAIN)


def _as(name: str, contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[Files]:
    return contents.map(lambda content: {name: content})


def formats() -> tuple[Format, ...]:
    """Three formats; `.safetensors` stands with the models of that format."""
    pair = saved((torch.from_numpy(images()), torch.from_numpy(LABELS)))
    packed = {"data.npz": zipped(x=images(), y=LABELS)}
    return (
        Format("npz", "data", "data.npz", packed, _as("data.npz", _npz())),
        Format("npy", "data", "data.npy", {"data.npy": _written(images())}, _as("data.npy", _npy(_IMAGES, images()))),
        Format("pt data", "data", "data.pt", {"data.pt": pair}, _as("data.pt", files(_batches()))),
    )
