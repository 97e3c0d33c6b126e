"""WebDataset archives: members of other types, names and contents, labels that are none."""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
from hypothesis import strategies as st

from fuzz.case import Format
from fuzz.formats.images import image
from fuzz.mutation import changed
from fuzz.samples import LABELS, SAMPLES, images
from fuzz.values import edited_json

_LABELS = [b"", b"x", b"-5", b"1.5", b"9" * 5_000, b"9" * 400, b"\xff", b" 1\n", b"nan", b"1\n::error::x"]
_NAMES = [
    "../../x.npy",
    "/abs.npy",
    "\n::error::x\x1b[31m.npy",
    "x" * 300 + ".npy",
    "0.npy",
    "é.npy",
    "9.pkl",
    "9",
    "9.pth",
]
_TYPES = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]


def _array(number: int) -> bytes:
    stream = io.BytesIO()
    np.save(stream, images()[number])
    return stream.getvalue()


def _members() -> list[tuple[str, bytes]]:
    pairs = [
        ((f"{number}.npy", _array(number)), (f"{number}.cls", str(LABELS[number]).encode()))
        for number in range(SAMPLES)
    ]
    return [member for pair in pairs for member in pair]


def _packed(members: list[tuple[str, bytes, bytes]], packed: bool = False) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = "" if kind == tarfile.REGTYPE else "/etc/passwd"
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), mtime=0) if packed else stream.getvalue()


@st.composite
def _archives(draw: st.DrawFn) -> bytes:
    members = [(name, content, tarfile.REGTYPE) for name, content in _members()]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(members) - 1))
        name, content, kind = members[at]
        match draw(st.sampled_from(["name", "content", "label", "json", "type", "gone", "twice", "image"])):
            case "name":
                members[at] = (draw(st.sampled_from(_NAMES)), content, kind)
            case "content":
                members[at] = (name, draw(changed(content, (image(),))), kind)
            case "label":
                members[at] = (f"{name.split('.')[0]}.cls", draw(st.sampled_from(_LABELS)), kind)
            case "json":
                label = draw(edited_json({"cls": 1, "other": [1]}))
                members[at] = (f"{name.split('.')[0]}.json", label, kind)
            case "type":
                members[at] = (name, content, draw(st.sampled_from(_TYPES)))
            case "gone" if len(members) > 1:
                del members[at]
            case "image":
                members[at] = (f"{name.split('.')[0]}.png", image(size=draw(st.sampled_from([6, 7]))), kind)
            case _:
                members.append(members[at])
    return _packed(members, draw(st.sampled_from([False, False, False, True])))


def formats() -> tuple[Format, ...]:
    """The one format."""
    sound = _packed([(name, content, tarfile.REGTYPE) for name, content in _members()])
    hostile = _archives().map(lambda content: {"data.tar": content})
    return (Format("tar", "data", "data.tar", {"data.tar": sound}, hostile),)
