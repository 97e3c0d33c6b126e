"""Keras files written by hand, as Keras lays them out: importing it takes seconds, and some it would not write."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

VECTORS = (np.full(3, 1.5), np.full(3, 0.25), np.full(3, 0.5), np.full(3, 2.0))
"""Gamma, beta, moving mean, moving variance."""
NORM = {"name": "bn", "axis": -1, "momentum": 0.97, "epsilon": 0.002}


def serialized(class_name: str, **settings: Any) -> dict[str, Any]:
    """A layer as Keras 3 writes it."""
    return {"module": "keras.layers", "class_name": class_name, "config": settings, "registered_name": None}


def sequential(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """A model of these layers, on three values a sample."""
    first = serialized("InputLayer", batch_shape=[None, 3], dtype="float32", name="x")
    config = {"name": "net", "trainable": True, "layers": [first, *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def weights(write: Callable[[h5py.File], None] | None = None) -> bytes:
    """The weights of one layer of batch normalization, and what `write` adds or changes."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for at, vector in enumerate(VECTORS):
            file[f"layers/batch_normalization/vars/{at}"] = vector.astype(np.float32)
        if write is not None:
            write(file)
    return content.getvalue()


def archive(path: Path, config: Any = None, content: bytes | None = None, **members: bytes | str) -> Path:
    """A `.keras` file; `config` may be text that is no JSON."""
    config = sequential(serialized("BatchNormalization", **NORM)) if config is None else config
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", weights() if content is None else content)
        for name, text in members.items():
            file.writestr(name, text)
    return path


def legacy(path: Path, config: Any, layers: Mapping[str, Mapping[str, np.ndarray]]) -> Path:
    """A file of Keras 2: weights by the names of layers, and their order beside them."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        root = file if config is None else file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, held in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in held]
            for weight, values in held.items():
                group[weight] = values
    return path
