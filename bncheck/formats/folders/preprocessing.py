"""What an image processor of transformers does, from its `preprocessor_config.json`, in bncheck's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bncheck.errors import ModelError, UsageError
from bncheck.settings import DataSettings, Size

_SMALL = 384
"""Shorter sides below which processors with a `crop_pct` resize to more and crop (ConvNeXt's image processor)."""


def read_preprocessing(configuration: Mapping[str, Any], file: str) -> DataSettings | None:
    """The settings that do the same; `None` where nothing is said of images.

    Raises:
        ModelError: a value is not what image processors have there.
    """
    if not any(name.startswith(("do_", "image_", "size")) for name in configuration):
        return None
    try:
        resize, crop = _sizes(configuration)
        scaled = bool(configuration.get("do_rescale", True))
        factor = float(configuration.get("rescale_factor", 1 / 255)) * 255 if scaled else 255.0
        normalizes = bool(configuration.get("do_normalize", True)) and configuration.get("image_mean") is not None
        return DataSettings(
            resize=resize,
            crop=crop,
            scale=None if abs(factor - 1) < 1e-6 else factor,
            mean=_numbers(configuration["image_mean"]) if normalizes else None,
            std=_numbers(configuration["image_std"]) if normalizes else None,
        )
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise ModelError(f"{file} describes no preprocessing of images that is known: {error}.") from error


def _sizes(configuration: Mapping[str, Any]) -> tuple[Size | None, Size | None]:
    """What images are resized to, and what of them is cropped."""
    crops = bool(configuration.get("do_center_crop", False))
    crop = _size(configuration.get("crop_size"), shorter=False) if crops else None
    if not configuration.get("do_resize", True) or "size" not in configuration:
        return None, crop
    share = configuration.get("crop_pct")
    resize = _size(configuration["size"], shorter=crops or share is not None)
    if share is None or not isinstance(resize, int):
        return resize, crop
    if resize >= _SMALL:
        return (resize, resize), None
    return int(resize / float(share)), (resize, resize)


def _size(given: Any, *, shorter: bool) -> Size | None:
    """An int is the shorter side, a pair is height and width; what a bare number means depends on the processor."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        if "shortest_edge" in given:
            return int(given["shortest_edge"])
        return int(given["height"]), int(given["width"])
    return int(given) if shorter else (int(given), int(given))


def _numbers(given: Any) -> tuple[float, ...]:
    return tuple(map(float, given)) if isinstance(given, list | tuple) else (float(given),)
