"""safetensors: headers that declare what is not there, alone and behind an index; as a model and as data."""

from __future__ import annotations

import json
import struct

import torch
from hypothesis import strategies as st
from safetensors.torch import save

from fuzz.case import Files, Format
from fuzz.samples import ARCH, LABELS, images, weights
from fuzz.values import FINITE, JSON, edited_json

_DTYPES = st.sampled_from(["F64", "F16", "BF16", "I64", "U8", "U16", "BOOL", "F8_E4M3", "F4", "QQQ", "", 3, None])
_SHAPES = st.one_of(st.lists(FINITE, max_size=3), st.just([2**40, 2**40]), st.just([4.0]), st.just([0, 10**15]))
_OFFSETS = st.one_of(st.lists(FINITE, min_size=2, max_size=2), st.just([0, 16]), st.just([32, 16]), st.just([0, 0]))
_VALUES = st.one_of(JSON, _DTYPES, _SHAPES, _OFFSETS)


def _header(content: bytes) -> tuple[dict[str, object], bytes]:
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


@st.composite
def _damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file whose header is edited, or declares another length, over more or fewer bytes."""
    header, held = _header(content)
    text = draw(edited_json(header, _VALUES))
    length = draw(st.one_of(*[st.just(len(text))] * 6, st.sampled_from([0, 7, 2**31, 2**60, 2**64 - 1])))
    held = draw(st.sampled_from([held, held, held, held + bytes(64), held[:-9], b""]))
    return struct.pack("<Q", length) + text + held


def formats() -> tuple[Format, ...]:
    """One file, shards, and data."""
    whole = save(weights())
    names = sorted(weights())
    parts = (names[:4], names[4:])
    shards = {
        f"part-{number}.safetensors": save({name: weights()[name] for name in part})
        for number, part in enumerate(parts)
    }
    where = {name: f"part-{number}.safetensors" for number, part in enumerate(parts) for name in part}
    index = {"metadata": {"total_size": sum(map(len, shards.values()))}, "weight_map": where}
    name = "model.safetensors.index.json"
    texts = st.one_of(JSON, st.sampled_from(["good.pth", "/etc/passwd", ".", "x/../part-0.safetensors", name]))
    sharded: st.SearchStrategy[Files] = st.one_of(
        edited_json(index, texts).map(lambda content: {name: content}),
        _damaged(shards["part-0.safetensors"]).map(lambda content: {"part-0.safetensors": content}),
    )
    data = save({"x": torch.from_numpy(images()), "y": torch.from_numpy(LABELS)}, {"made": "by hand"})
    alone = _damaged(whole).map(lambda content: {"model.safetensors": content})
    read = _damaged(data).map(lambda content: {"data.safetensors": content})
    sound = {name: json.dumps(index).encode(), **shards}
    return (
        Format("safetensors", "model", "model.safetensors", {"model.safetensors": whole}, alone, ARCH),
        Format("sharded safetensors", "model", name, sound, sharded, ARCH),
        Format("safetensors data", "data", "data.safetensors", {"data.safetensors": data}, read),
    )
