"""A folder of `torch.distributed.checkpoint`: its index is a pickle that says where tensors stand in other files."""

from __future__ import annotations

import copy
import io
import pickle
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from hypothesis import strategies as st

from fuzz.case import Files, Format
from fuzz.samples import ARCH, saved, weights
from fuzz.values import FINITE, JSON

FOLDER = "checkpoint"
INDEX = f"{FOLDER}/.metadata"


@cache
def _sound() -> Files:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single process
        dcp.save({"model": weights()}, checkpoint_id=folder, no_dist=True)
        return {f"{FOLDER}/{path.name}": path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _index() -> Any:
    import pickle

    return pickle.load(io.BytesIO(bytes(_sound()[INDEX])))  # type: ignore[arg-type]  # our own, just written


@st.composite
def _indexes(draw: st.DrawFn) -> bytes:
    """An index whose places, sizes or names are others."""
    index = copy.deepcopy(_index())
    stored = list(index.storage_data.values())
    tensors = [one for one in index.state_dict_metadata.values() if hasattr(one, "chunks")]
    for _ in range(draw(st.integers(1, 3))):
        how = draw(st.sampled_from(["offset", "length", "path", "size", "chunk", "name", "gone", "state"]))
        place, tensor = draw(st.sampled_from(stored)), draw(st.sampled_from(tensors))
        value = draw(st.one_of(FINITE, JSON))
        match how:
            case "offset" | "length":
                setattr(place, how, value)
            case "path":
                place.relative_path = draw(st.sampled_from(["../good.pth", "/etc/passwd", "", "\0", ".", 3, "x" * 999]))
            case "size":
                tensor.size = torch.Size([draw(FINITE.filter(lambda size: size >= 0))])
            case "chunk" if tensor.chunks:
                tensor.chunks[0].offsets = draw(st.sampled_from([torch.Size([0]), torch.Size([9, 9]), (), value]))
            case "name":
                index.storage_data[draw(st.sampled_from(list(index.storage_data)))] = place
            case "gone":
                index.storage_data.pop(next(iter(index.storage_data)), None)
            case "state":
                index.state_dict_metadata[draw(st.sampled_from(["model.bn.weight", "\n::error::x", ""]))] = value
    return pickle.dumps(index)


def formats() -> tuple[Format, ...]:
    """A folder whose index is hostile, or whose file is another."""
    part = next(name for name in _sound() if name != INDEX)
    hostile: st.SearchStrategy[Files] = st.one_of(
        _indexes().map(lambda content: {INDEX: content}),
        st.sampled_from([b"", saved({"x": torch.ones(2)}), bytes(64)]).map(lambda content: {part: content}),
        JSON.map(lambda value: {INDEX: saved({"state_dict_metadata": repr(value)[:1000]})}),
    )
    return (Format("distributed checkpoint", "model", FOLDER, _sound(), hostile, ARCH),)
