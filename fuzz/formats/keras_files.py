"""Keras: configurations with hostile values, and HDF5 whose groups hold what Keras does not write."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from bncheck.formats.keras.running.library import keras_module
from fuzz.case import Files, Format
from fuzz.samples import CHANNELS, CLASSES, SIZE, weights
from fuzz.values import FINITE, JSON, TEXTS, edited_json

ARCHIVE, HDF5 = "model.keras", "model.h5"
_NORM = "layers/batch_normalization/vars"


def _layer(kind: str, /, **settings: Any) -> dict[str, Any]:
    config = {"trainable": True, "dtype": "float32", **settings}
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _config() -> dict[str, Any]:
    first = "channels_first"
    layers = [
        _layer("InputLayer", name="input", batch_shape=[None, CHANNELS, SIZE, SIZE]),
        _layer("Conv2D", name="conv", filters=4, kernel_size=[3, 3], data_format=first),
        _layer("BatchNormalization", name="bn", axis=1, epsilon=1e-3, momentum=0.9),
        _layer("Activation", name="act", activation="relu"),
        _layer("GlobalAveragePooling2D", name="pool", data_format=first),
        _layer("Dense", name="head", units=CLASSES),
    ]
    own = {"name": "net", "trainable": True, "layers": layers}
    return {"module": "keras", "class_name": "Sequential", "config": own, "registered_name": None}


def _vectors() -> dict[str, np.ndarray[Any, Any]]:
    held = {name: value.numpy() for name, value in weights().items()}
    norm = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    return {
        "layers/conv2d/vars/0": held["conv.weight"].transpose(2, 3, 1, 0),
        "layers/conv2d/vars/1": held["conv.bias"],
        **{f"{_NORM}/{at}": held[name] for at, name in enumerate(norm)},
        "layers/dense/vars/0": held["head.weight"].T,
        "layers/dense/vars/1": held["head.bias"],
    }


def _hdf5(change: Callable[[h5py.File], None] = lambda file: None) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, values in _vectors().items():
            file[name] = values
        change(file)
    return stream.getvalue()


def _archive(config: bytes, held: bytes, names: tuple[str, str] = ("config.json", "model.weights.h5")) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in (("metadata.json", b'{"keras_version": "3.7.0"}'), (names[0], config), (names[1], held)):
            archive.writestr(zipfile.ZipInfo(name), content)  # a name alone is stamped with the time
    return stream.getvalue()


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """HDF5 with one to three things in it that Keras does not write."""
    chosen = draw(st.dictionaries(st.sampled_from(sorted(_vectors())), _CHANGES, min_size=1, max_size=3))

    def change(file: h5py.File) -> None:
        for name, (kind, value) in chosen.items():
            if name in file:
                _change(file, name, kind, value)

    return _hdf5(change)


_ARRAYS = st.sampled_from(
    [
        np.full(4, np.nan, np.float32),
        np.full(4, -1.0, np.float64),
        np.zeros((0,), np.float32),
        np.zeros((4, 1), np.float16),
        np.float32(1),
        np.arange(4, dtype=np.uint64),
        np.array([b"x"] * 4),
        np.zeros(4, np.complex64),
        np.zeros(4, [("r", "f4"), ("i", "f4")]),
        np.zeros(5, np.float32),
    ]
)
_CHANGES = st.one_of(
    st.tuples(st.just("array"), _ARRAYS),
    st.tuples(st.just("declared"), st.lists(FINITE.filter(lambda size: size >= 0), min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["soft", "external", "group", "gone", "loop", "text"]), TEXTS),
    st.tuples(st.just("attribute"), JSON.filter(lambda value: isinstance(value, str | int) and abs(hash(value)) > 0)),
)


def _change(file: h5py.File, name: str, kind: str, value: Any) -> None:
    parent = name.rpartition("/")[0]
    if kind == "attribute":
        try:
            file[name].attrs["dtype"] = value
        except (ValueError, TypeError, OverflowError, RuntimeError, OSError):
            file[name].attrs["dtype"] = "bfloat16"  # what HDF5 cannot hold
        return
    del file[name]
    match kind:
        case "array":
            file[name] = value
        case "declared":
            try:
                file.create_dataset(name, tuple(value), "f4", chunks=True if np.prod(value, dtype=float) else None)
            except (ValueError, TypeError, OverflowError, RuntimeError, OSError):
                file[name] = np.zeros(1, np.float32)
        case "soft":
            file[name] = h5py.SoftLink("/layers/dense/vars/1")
        case "external":
            file[name] = h5py.ExternalLink("good.pth", "/x")
        case "group":
            file[f"{name}/x"] = np.zeros(4, np.float32)
        case "loop":
            file[name] = file[parent]
        case "text":
            try:
                file[name] = value
            except (ValueError, TypeError, UnicodeError):
                file[name] = "x"


def formats() -> tuple[Format, ...]:
    """An archive, and weights alone."""
    keras_module()  # its first import asks the system whether it has IPv6, which the oracle would lay to a file
    config, held = json.dumps(_config()).encode(), _hdf5()
    archived: st.SearchStrategy[Files] = st.one_of(
        edited_json(_config()).map(lambda text: _archive(text, held)),
        _damaged().map(lambda damaged: _archive(config, damaged)),
        st.sampled_from(["../config.json", "config.json/", "CONFIG.JSON", "model.weights.npz"]).map(
            lambda name: _archive(config, held, ("config.json", name))
        ),
    ).map(lambda content: {ARCHIVE: content})
    alone = _damaged().map(lambda content: {HDF5: content})
    return (
        Format("Keras archive", "model", ARCHIVE, {ARCHIVE: _archive(config, held)}, archived),
        Format("Keras HDF5", "model", HDF5, {HDF5: held}, alone),
    )
