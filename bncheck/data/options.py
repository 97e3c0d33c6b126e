"""How data are to be read: what the user says about columns, layout and preprocessing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from bncheck.errors import UsageError
from bncheck.evidence.probed import AffineMap

Layout = Literal["auto", "nhwc", "nchw"]
Channels = Literal["rgb", "bgr", "gray"]
Size = int | tuple[int, int]

LAYOUTS = ("auto", "nhwc", "nchw")
CHANNELS = ("rgb", "bgr", "gray")
PRESETS = ("imagenet",)

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What to do with the data before the model sees them.

    uint8 images go through, in this order: `layout`, `channels`, `resize`, `crop`, floats in 0..1, `scale`,
    `mean` and `std`. So `mean` and `std` are in the unit and the channel order that the network is fed.
    Floating arrays (N, C, ...) know `scale`, `mean` and `std` only.

    Attributes:
        label_column: the column of a table that holds the labels.
        layout: where a uint8 image of rank 4 has its channels; `"auto"` asks when both could be meant. Floating
            arrays of rank 4 are taken as (N, C, H, W) unless `"nhwc"` is said.
        mean: subtracted; one value per channel, or one for all.
        std: divided by, after `mean`; one value per channel, or one for all.
        resize: an int is the length of the shorter side, a tuple is (height, width); bilinear with antialiasing.
        crop: centre crop; an int is a square, a tuple is (height, width). Nothing is ever padded.
        channels: `"rgb"`, `"bgr"` (reversed RGB) or `"gray"` (ITU-R 601-2 luma, one channel).
        scale: factor on the floats in 0..1: 255 for networks that are fed 0..255.
        preset: `"imagenet"` is resize 256, crop 224 and ImageNet's mean and std, each unless given.

    Raises:
        UsageError: an option has a value that means nothing, or two contradict each other.
    """

    label_column: str | None = None
    layout: Layout = "auto"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: Size | None = None
    crop: Size | None = None
    channels: Channels | None = None
    scale: float | None = None
    preset: Literal["imagenet"] | None = None

    def __post_init__(self) -> None:
        _one_of("--layout", self.layout, LAYOUTS)
        _one_of("--channels", self.channels, (None, *CHANNELS))
        _one_of("--preset", self.preset, (None, *PRESETS))
        _size("--resize", self.resize)
        _size("--crop", self.crop)
        _numbers("--mean", self.mean)
        _numbers("--std", self.std, positive=True)
        _numbers("--scale", None if self.scale is None else (self.scale,), positive=True)
        if self.preset and (self.scale is not None or self.channels == "gray") and None in (self.mean, self.std):
            raise UsageError(
                "--preset imagenet with --scale or --channels gray: the preset's mean and std are for three channels "
                "in 0..1; give --mean and --std that fit."
            )

    @property
    def image_only(self) -> list[str]:
        """Those of the options given that mean something for images only, as they are typed."""
        given = {"--resize": self.resize, "--crop": self.crop, "--channels": self.channels, "--preset": self.preset}
        return [option for option, value in given.items() if value is not None]

    @property
    def normalizing(self) -> list[str]:
        """Those of the options given that act on floating values, as they are typed."""
        given = {"--scale": self.scale, "--mean": self.mean, "--std": self.std}
        return [option for option, value in given.items() if value is not None]

    @property
    def normalization(self) -> AffineMap | None:
        """What `mean` and `std` do to a value; `None` where they do nothing."""
        known = self.with_preset()
        if known.mean is None and known.std is None:
            return None
        mean, std = known.mean or (0.0,), known.std or (1.0,)
        return AffineMap(std, mean).undone

    def with_preset(self) -> DataOptions:
        """The same options with what the preset stands for filled in where nothing was given."""
        if self.preset is None:
            return self
        backwards = -1 if self.channels == "bgr" else 1
        return replace(
            self,
            resize=256 if self.resize is None else self.resize,
            crop=224 if self.crop is None else self.crop,
            mean=self.mean or _IMAGENET_MEAN[::backwards],
            std=self.std or _IMAGENET_STD[::backwards],
        )


def _one_of(option: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value}: expected one of {', '.join(name for name in allowed if name)}.")


def _size(option: str, value: Size | None) -> None:
    sides = (value, value) if isinstance(value, int) else value
    if sides is not None and (len(sides) != 2 or min(sides) < 1):
        raise UsageError(f"{option} {value}: expected a positive length, or height and width.")


def _numbers(option: str, values: tuple[float, ...] | None, *, positive: bool = False) -> None:
    if values is None:
        return
    if not values or not all(math.isfinite(value) and (value > 0 or not positive) for value in values):
        expected = "finite numbers above 0" if positive else "finite numbers"
        raise UsageError(f"{option} {' '.join(map(str, values))}: expected {expected}.")
