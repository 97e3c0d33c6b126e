"""Valid files with bytes changed: cut, flipped, doubled, spliced, and records of archives exchanged."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable

from hypothesis import strategies as st

Change = Callable[[bytes], bytes]
_RUNS = [b"\xff", b"\x00", b"\x7f", b"\x80", b"9", b"[", b"\n::error::x", b"\x1b[31m", b"\xed\xa0\x80"]


@st.composite
def changed(draw: st.DrawFn, content: bytes, others: tuple[bytes, ...]) -> bytes:
    """The content with one to eight changes.

    Args:
        draw: of Hypothesis.
        content: of a valid file.
        others: of further valid files, which it is spliced with.
    """
    if zipfile.is_zipfile(io.BytesIO(content)) and draw(st.booleans()):
        return draw(_rearranged(content))
    for _ in range(draw(st.integers(1, draw(st.sampled_from([1, 1, 2, 8]))))):
        content = draw(_once(content, others))
    return content


@st.composite
def _once(draw: st.DrawFn, content: bytes, others: tuple[bytes, ...]) -> bytes:
    at = draw(st.integers(0, max(0, len(content) - 1)))
    match draw(st.sampled_from(["flip", "flip", "flip", "run", "cut", "leave out", "double", "splice"])):
        case "flip":
            flipped = bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) if content else b""
            return content[:at] + flipped + content[at + 1 :]
        case "run":
            run = draw(st.sampled_from(_RUNS)) * draw(st.sampled_from([1, 2, 4, 8, 400]))
            return content[:at] + run + content[at + (len(run) if draw(st.booleans()) else 0) :]
        case "cut":
            return content[:at]
        case "leave out":
            return content[:at] + content[at + draw(st.integers(1, 64)) :]
        case "double":
            return content[:at] + content[at : at + draw(st.integers(1, 64))] + content[at:]
        case _:
            other = draw(st.sampled_from(others))
            start = draw(st.integers(0, max(0, len(other) - 1)))
            piece = other[start : start + draw(st.integers(1, 512))]
            return content[:at] + piece + content[at + (len(piece) if draw(st.booleans()) else 0) :]


@st.composite
def _rearranged(draw: st.DrawFn, content: bytes) -> bytes:
    """An archive written anew, with a record gone, exchanged, damaged, renamed or there twice."""
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        records = [(name, old.read(name)) for name in old.namelist()]
    number = st.integers(0, len(records) - 1)
    for _ in range(draw(st.integers(1, 2))):
        one, other = draw(number) % len(records), draw(number) % len(records)
        name, held = records[one]
        match draw(st.sampled_from(["gone", "exchanged", "emptied", "damaged", "swollen", "renamed", "twice", "junk"])):
            case "gone" if len(records) > 1:
                del records[one]
            case "exchanged":
                records[one], records[other] = (name, records[other][1]), (records[other][0], held)
            case "emptied":
                records[one] = (name, b"")
            case "damaged" if held:
                records[one] = (name, draw(_once(held, (content,))))
            case "swollen":
                records[one] = (name, held * draw(st.sampled_from([2, 50])))
            case "renamed":
                records[one] = (draw(st.sampled_from(["a\n::error::x", "../x", "/x", "x" * 30_000, "."])), held)
            case "junk":
                records[one] = (name, b"\x80\x02(lies\n::error\x1b[31m" + b"\xff" * 20)
            case _:
                records.append((name, records[other][1]))
    stream = io.BytesIO()
    packing = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", packing) as new:
        warnings.simplefilter("ignore")  # of records that are there twice
        for name, held in records:
            new.writestr(zipfile.ZipInfo(name), held, packing)
    return stream.getvalue()
