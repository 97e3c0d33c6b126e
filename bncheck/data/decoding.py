"""Decoding: image files become pixels, and samples read one by one become a batch."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from bncheck.errors import DataError
from bncheck.vocabulary import argument

_Item = TypeVar("_Item")


@cache
def image_suffixes() -> frozenset[str]:
    """The suffixes (``.png``) of the formats that Pillow reads."""
    suffixes = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in suffixes.items() if kind in Image.OPEN)


def decode_image(content: bytes, name: str) -> torch.Tensor:
    """The image as uint8 RGB (1, 3, H, W), whatever its mode; its EXIF orientation is not applied.

    16-bit gray is brought to 8 bits by its full range (65535 is white), not by that of the image.

    Raises:
        DataError: Pillow cannot read it, or its pixels have no known range.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.array(to_rgb(image))
    except UnidentifiedImageError as error:  # its message names our buffer in memory
        raise DataError(f"{name} cannot be read as an image: damaged, or of no kind that Pillow knows.") from error
    except Exception as error:  # what a damaged file raises depends on the format
        raise DataError(f"{name} cannot be read as an image: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)


def read_together(
    read: Callable[[_Item], torch.Tensor], items: Sequence[_Item], names: Callable[[_Item], str]
) -> torch.Tensor:
    """The samples (1, ...) that `read` gives for `items` as one batch; decoding runs in two threads.

    Raises:
        DataError: they have different shapes.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        samples = list(pool.map(read, items))
    for item, sample in zip(items, samples, strict=True):
        if sample.shape != samples[0].shape:
            raise DataError(
                f"{names(item)} is {_shape(sample)} where {names(items[0])} is {_shape(samples[0])}; samples of a "
                f"batch must have one shape. For images give {argument('resize', 'HEIGHT,WIDTH')}, or "
                f"{argument('resize')} and {argument('crop')}."
            )
    return torch.cat(samples)


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, 8 bits, whatever its mode.

    Raises:
        ValueError: its pixels have no known range.
    """
    if image.mode.startswith("I"):
        return _from_sixteen_bits(image)
    if image.mode == "F":
        raise ValueError("floating pixels (mode F) have no known range; save such images as .npy or .npz")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels (mode I) have no known range; save such images as .npy or .npz")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _shape(sample: torch.Tensor) -> str:
    return " x ".join(map(str, sample.shape[1:]))
