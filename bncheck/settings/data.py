"""What is done to data before the model sees them: columns, layout and preprocessing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from bncheck.discovery import meant_word
from bncheck.errors import UsageError
from bncheck.settings.checks import (
    require_at_least,
    require_callable,
    require_count,
    require_number,
    require_one_of,
    require_text,
    texts,
)
from bncheck.settings.memory import SAMPLE_MEMORY, SampleMemory
from bncheck.vocabulary import argument

Layout = Literal["auto", "nhwc", "nchw"]
Channels = Literal["rgb", "bgr", "gray"]
Preset = Literal["imagenet", "auto"]
Fill = float | Literal["mean", "median"]
Size = int | tuple[int, int]
By = str | Callable[..., Any]

LAYOUTS = ("auto", "nhwc", "nchw")
CHANNELS = ("rgb", "bgr", "gray")
PRESETS = ("imagenet", "auto")
FILLS = ("mean", "median")

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Says what to do with the data before the model sees them.

    uint8 images go through, in this order: `layout`, `channels`, `resize`, `crop`, floats in 0..1, `scale`,
    `mean` and `std`. So `mean` and `std` are in the unit and the channel order that the network is fed.
    Floating arrays (N, C, ...) know `scale`, `mean` and `std`, and of `channels` the order of three.

    Attributes:
        label_column: the column of a table that holds the labels.
        fill: what the missing values of a table's features are: a number, or the mean or median of their column.
        input: which parts of a batch the model is called with, by key or by index from 0, in this order; of a part of a
            part, `"image.left"`. Without it: of a dict all but the labels and texts, of a pair the first.
        label: which part of a batch the labels are; `"none"` for none of them.
        layout: where a uint8 image of rank 4 has its channels; `"auto"` asks when both could be meant. Floating
            arrays of rank 4 are taken as (N, C, H, W) unless `"nhwc"` is said.
        mean: subtracted; one value per channel, or one for all.
        std: divided by, after `mean`; one value per channel, or one for all.
        resize: an int is the length of the shorter side, a tuple is (height, width); bilinear with antialiasing.
        crop: centre crop; an int is a square, a tuple is (height, width). Nothing is ever padded.
        channels: `"rgb"`, `"bgr"` (reversed RGB) or `"gray"` (ITU-R 601-2 luma, one channel).
        scale: factor on the floats in 0..1: 255 for networks that are fed 0..255.
        skip_bad_samples: leave samples that hold NaN or infinity out, and count them, instead of refusing the data.
        workers: processes that read and decode the files of a folder or a tar; 0 for this one alone.
        sample_memory: MiB of samples that are held for longer than a forward, see `SampleMemory`.
        preset: `"imagenet"` is resize 256, crop 224 and ImageNet's mean and std, each unless given; `"auto"` is what
            the model was fed in training, by its weights (`bncheck.weights`), each unless given.
        by: what slices the data: a column of a table, a key of a dict or of a tar's fields, `"label"`, or a function
            that is given `(inputs, labels)`, or the batch where it takes one argument, and gives a name for each
            sample; also as `FILE.py:CALLABLE`. A column that is named here is no input unless `input` says so.
        aside: a column that is no input where it is there: what slices other data.

    Raises:
        UsageError: an option has a value that means nothing, or two contradict each other.
    """

    label_column: str | None = None
    fill: Fill | None = None
    input: tuple[str, ...] | None = None
    label: str | None = None
    layout: Layout = "auto"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: Size | None = None
    crop: Size | None = None
    channels: Channels | None = None
    scale: float | None = None
    preset: Preset | None = None
    skip_bad_samples: bool = False
    sample_memory: int = SAMPLE_MEMORY
    workers: int = 0
    by: By | None = None
    aside: str | None = None

    def __post_init__(self) -> None:
        require_text("label_column", self.label_column)
        if not isinstance(self.by, str):
            require_callable("by", self.by)
        require_text("label", self.label)
        _require_fill(self.fill)
        if self.input is not None:
            names = texts("input", self.input)
            if not names or self.label in names:
                raise UsageError(f"{argument('input')}: name one part or more, and none that is the label.")
            object.__setattr__(self, "input", names)
        require_count("sample_memory", self.sample_memory)
        require_at_least("workers", self.workers, 0)
        require_one_of("layout", "none" if self.layout is None else self.layout, LAYOUTS)
        require_one_of("channels", self.channels, CHANNELS)
        require_one_of("preset", self.preset, PRESETS)
        _require_size("resize", self.resize)
        _require_size("crop", self.crop)
        _require_numbers("mean", self.mean)
        _require_numbers("std", self.std, positive=True)
        _require_numbers("scale", None if self.scale is None else (self.scale,), positive=True)
        if (
            self.preset == "imagenet"
            and (self.scale is not None or self.channels == "gray")
            and None in (self.mean, self.std)
        ):
            raise UsageError(
                f"{argument('preset')} imagenet with {argument('scale')} or {argument('channels')} gray: the preset's "
                "mean and std are for three channels "
                f"in 0..1; give {argument('mean')} and {argument('std')} that fit."
            )

    @property
    def memory(self) -> SampleMemory:
        """The memory that samples may take, in shares."""
        return SampleMemory(self.sample_memory)

    @property
    def image_only(self) -> list[str]:
        """Those of the settings given that mean something for images only, marked as arguments."""
        return self._given("resize", "crop", *(["channels"] if self.channels == "gray" else []), "preset")

    @property
    def normalizing(self) -> list[str]:
        """Those of the settings given that act on floating values, marked as arguments."""
        return self._given("scale", "mean", "std")

    def unsliced(self) -> DataSettings:
        """The same for other data, which are not sliced: the column is no input of theirs either, if they have it."""
        return replace(self, by=None, aside=self.by if isinstance(self.by, str) else None)

    def with_preset(self) -> DataSettings:
        """The same settings with what the preset stands for filled in where nothing was given.

        What `"auto"` stands for a model tells, which has filled it in before data are opened.
        """
        if self.preset != "imagenet":
            return self
        backwards = -1 if self.channels == "bgr" else 1
        return replace(
            self,
            resize=256 if self.resize is None else self.resize,
            crop=224 if self.crop is None else self.crop,
            mean=self.mean or _IMAGENET_MEAN[::backwards],
            std=self.std or _IMAGENET_STD[::backwards],
        )

    def _given(self, *names: str) -> list[str]:
        return [argument(name) for name in names if getattr(self, name) is not None]


def _require_fill(value: Fill | None) -> None:
    if value in FILLS:
        return
    if isinstance(value, str):
        meant = meant_word(value, FILLS)
        raise UsageError(f"{argument('fill')} {value}{meant}: expected a number, {' or '.join(FILLS)}.")
    require_number("fill", value)
    if value is not None and not math.isfinite(value):
        raise UsageError(f"{argument('fill')} {value}: expected a finite number.")


def _require_size(name: str, value: Size | None) -> None:
    for side in value if isinstance(value, tuple | list) else (value,):
        require_number(name, side, whole=True)
    sides = (value, value) if isinstance(value, int) else value
    if sides is not None and (len(sides) != 2 or min(sides) < 1):
        raise UsageError(f"{argument(name)} {value}: expected a positive length, or height and width.")


def _require_numbers(name: str, values: tuple[float, ...] | None, *, positive: bool = False) -> None:
    if values is None:
        return
    if not isinstance(values, Iterable):
        raise UsageError(f"{argument(name)} {values!r}: expected numbers, one per channel, or one in a tuple.")
    for value in values:
        require_number(name, value)
    if not values or not all(math.isfinite(value) and (value > 0 or not positive) for value in values):
        expected = "finite numbers above 0" if positive else "finite numbers"
        raise UsageError(f"{argument(name)} {' '.join(map(str, values))}: expected {expected}.")
