"""Folders of images: damaged and odd ones, odd names, links that lead nowhere or back, pipes."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from fuzz.case import Content, Files, Format, Link, Pipe
from fuzz.mutation import changed
from fuzz.samples import SIZE

_NAMES = ["9.png", "\n::error::x\x1b[31m.png", "é.png", "=1.jpg", "x" * 200 + ".png", ".hidden.png", "9.txt", "9"]
_PER_CLASS = 8


@cache
def image(mode: str = "RGB", size: int = SIZE, kind: str = "PNG", seed: int = 0) -> bytes:
    """An image file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    made = Image.fromarray(pixels).convert("RGB").convert(mode)
    made.save(stream, kind)
    return stream.getvalue()


@cache
def _large() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (3_000, 3_000)).save(stream, "PNG")
    return stream.getvalue()


def _contents() -> st.SearchStrategy[Content]:
    modes = st.builds(image, st.sampled_from(["L", "LA", "RGBA", "P", "1", "I", "I;16", "CMYK"]), kind=st.just("TIFF"))
    kinds = st.builds(image, kind=st.sampled_from(["GIF", "BMP", "WEBP", "TIFF", "JPEG", "PPM"]))
    sizes = st.builds(image, size=st.sampled_from([1, 3, 7, 300]))
    damaged = changed(image(), (image(kind="JPEG"), image(kind="GIF")))
    others: st.SearchStrategy[Content] = st.sampled_from(
        [b"", b"hello", Pipe(), Link("nowhere.png"), Link("."), Link(".."), Link("../good.npz"), Link("/dev/zero")]
    )
    return st.one_of(damaged, damaged, kinds, sizes, others, modes.filter(bool), st.just(_large()))


@st.composite
def _folders(draw: st.DrawFn) -> Files:
    labelled = draw(st.integers(0, 4)) != 0
    folders = ["images/a/", "images/b/", "images/c/"] if labelled else ["images/"]
    found: dict[str, Content] = {}
    for _ in range(draw(st.integers(1, 3))):
        folder = draw(st.sampled_from([*folders, *folders, "images/d/", "images/a/deep/", "images/"]))
        found[folder + draw(st.sampled_from([*_NAMES, "0.png"]))] = draw(_contents())
    return found


def _sound() -> Files:
    return {
        f"images/{name}/{number}.png": image(seed=8 * index + number)
        for index, name in enumerate("abc")
        for number in range(_PER_CLASS)
    }


def formats() -> tuple[Format, ...]:
    """Class folders, and what is put into them."""
    return (Format("image folder", "data", "images", _sound(), _folders()),)
