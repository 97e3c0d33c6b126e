"""Safetensors without PyTorch: arrays over the mapped file, of every type that the format has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from bncheck.errors import ModelError
from bncheck.tensors import torch

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
_LENGTH = 8
"""Bytes of the number with which a file begins: how long its header is."""


def load_by_numpy(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, in the order of their names.

    Raises:
        Exception: whatever safetensors say of a file that is damaged; they check what the header says of the rest.
    """
    with safe_open(path, framework="np") as file:
        names = list(file.keys())
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH), "little")
        header: dict[str, Any] = json.loads(stream.read(length))
    whole = path.stat().st_size
    held = np.memmap(path, np.uint8, "r", _LENGTH + length) if whole > _LENGTH + length else np.empty(0, np.uint8)
    return {name: _tensor(held, header[name], name, path) for name in names}


def _tensor(held: Any, described: dict[str, Any], name: str, path: Path) -> torch.Tensor:
    kind = _TYPES.get(described["dtype"])
    if kind is None:
        raise ModelError(f"{path}: {name} is of type {described['dtype']}, which only PyTorch reads.")
    begin, end = described["data_offsets"]
    values = np.asarray(held[begin:end]).view(getattr(torch, kind).numpy())
    return torch.from_numpy(values.reshape(described["shape"]))
