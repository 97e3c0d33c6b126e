"""Preprocessing on top of preprocessing: what options become where an input has to be changed besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import cycle, islice
from typing import Any

from bncheck.settings import Channels, DataSettings

_UNSET = DataSettings()
NOTHING = 1e-3
"""A mean, and what a standard deviation is off 1, that comes of constants told with four digits."""


def changed_reading(given: DataSettings, options: Mapping[str, str]) -> DataSettings:
    """The settings under which data are read as before and then changed by `options`; `given` where these are none.

    `mean`, `std` and `scale` act on what is fed now; `channels` turns the colours round, `bgr` as they are fed,
    `bgr-first` before they are normalized; an empty value takes an option out.
    """
    reading = _without(given, [name for name, value in options.items() if not value])
    if options.get("scale"):
        reading = _scaled(reading, float(options["scale"]))
    if options.get("mean") or options.get("std"):
        reading = _normalized(reading, _floats(options.get("mean", "0")), _floats(options.get("std", "1")))
    if options.get("channels") == "bgr":
        reading = _reversed(reading)
    if options.get("channels") == "bgr-first":
        full = reading.with_preset()
        reading = replace(_reversed(reading), mean=full.mean, std=full.std)
    return given if reading == given else reading


def preprocessing(reading: DataSettings) -> dict[str, Any]:
    """The options that make these settings, as a command line or a call in Python takes them."""
    return {
        each.name: value
        for each in fields(DataSettings)
        if (value := getattr(reading, each.name)) != getattr(_UNSET, each.name)
    }


def _without(reading: DataSettings, names: list[str]) -> DataSettings:
    """A preset is taken out but for its sizes."""
    known = {each.name for each in fields(DataSettings)}
    if "preset" in names and reading.preset is not None:
        full = reading.with_preset()
        reading = replace(reading, preset=None, resize=full.resize, crop=full.crop)
    unset = {name: getattr(_UNSET, name) for name in names if name in known}
    return replace(reading, **unset)


def _scaled(reading: DataSettings, factor: float) -> DataSettings:
    """Multiplied by `factor`: before a normalization there may be, or by its standard deviation."""
    full = reading.with_preset()
    if full.mean is None and full.std is None:
        return replace(reading, scale=_rounded((reading.scale or 1.0) * factor))
    std = tuple(_rounded(one / factor) for one in full.std or (1.0,))
    return replace(reading, mean=full.mean, std=std)


def _normalized(reading: DataSettings, mean: tuple[float, ...], std: tuple[float, ...]) -> DataSettings:
    """Normalized by mean and std after what normalizes already, in one: (x - m)/s, then (. - mean)/std.

    Where the second undoes the first, neither is left.
    """
    full = reading.with_preset()
    before, spread = full.mean or (0.0,), full.std or (1.0,)
    width = max(map(len, (before, spread, mean, std)))
    m, s, added, by = (tuple(islice(cycle(each), width)) for each in (before, spread, mean, std))
    shift = tuple(_rounded(a + b * c) for a, b, c in zip(m, s, added, strict=True))
    width_of = tuple(_rounded(a * b) for a, b in zip(s, by, strict=True))
    if all(abs(a) <= NOTHING and abs(b - 1) <= NOTHING for a, b in zip(shift, width_of, strict=True)):
        return _without(reading, ["mean", "std", "preset"])
    return replace(reading, mean=shift, std=width_of)


def _reversed(reading: DataSettings) -> DataSettings:
    """The colours the other way round after all else, so mean and std go with them; a preset's do so by themselves."""
    channels: Channels | None = None if reading.channels == "bgr" else "bgr"
    mean, std = (values and values[::-1] for values in (reading.mean, reading.std))
    return replace(reading, channels=channels, mean=mean, std=std)


def _floats(value: str) -> tuple[float, ...]:
    return tuple(float(one) for one in value.split(","))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
