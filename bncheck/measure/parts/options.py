"""The options that decide what is measured: parts go together where all of them are equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import cast

from bncheck.settings import (
    Channels,
    DataSettings,
    Fill,
    InspectionSettings,
    Layout,
    PredictionSettings,
    Preset,
    SamplingSettings,
    Size,
    name_of_callable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringOptions:
    """The options under the names of their arguments; see the settings for what each means.

    Attributes:
        arch: the name of what builds the module.
        arch_kwargs: its arguments, as text.
        resize, crop: one length, or height and width.
    """

    arch: str | None
    arch_kwargs: str | None
    key: str | None
    batch_size: int
    limit: int | None
    until: float
    seed: int
    exhaustive: bool
    fast: bool
    output: str | None
    task: str | None
    label_column: str | None
    fill: float | str | None
    layout: str
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    resize: tuple[int, ...] | None
    crop: tuple[int, ...] | None
    channels: str | None
    scale: float | None
    preset: str | None
    skip_bad_samples: bool
    input: tuple[str, ...] | None
    label: str | None
    sample_memory: int
    by: str | None

    @classmethod
    def of(cls, settings: InspectionSettings) -> MeasuringOptions:
        """Those of an inspection."""
        model, sampling, reading = settings.model, settings.sampling, settings.reading
        arch, kwargs, by = model.arch, model.arch_kwargs, reading.by
        return cls(
            arch=arch if arch is None or isinstance(arch, str) else name_of_callable(arch),
            arch_kwargs=None if not kwargs else json.dumps(dict(kwargs), sort_keys=True, default=repr),
            key=model.key,
            batch_size=sampling.batch_size,
            limit=sampling.limit,
            until=float(sampling.until),
            seed=sampling.seed,
            exhaustive=sampling.exhaustive,
            fast=sampling.fast,
            output=settings.predictions.output,
            task=settings.predictions.task,
            label_column=reading.label_column,
            fill=reading.fill,
            layout=reading.layout,
            mean=None if reading.mean is None else tuple(map(float, reading.mean)),
            std=None if reading.std is None else tuple(map(float, reading.std)),
            resize=_sides(reading.resize),
            crop=_sides(reading.crop),
            channels=reading.channels,
            scale=None if reading.scale is None else float(reading.scale),
            preset=reading.preset,
            skip_bad_samples=reading.skip_bad_samples,
            input=reading.input,
            label=reading.label,
            sample_memory=reading.sample_memory,
            by=by if by is None or isinstance(by, str) else name_of_callable(by),
        )

    def named(self) -> Iterator[tuple[str, object]]:
        """Every option by the name of its argument."""
        return ((each.name, getattr(self, each.name)) for each in fields(self))

    def sampling(self, batch_sizes: tuple[int, ...]) -> SamplingSettings:
        """How the data were drawn.

        Raises:
            UsageError: a value is out of its range.
        """
        return SamplingSettings(
            self.batch_size, self.limit, self.until, self.seed, batch_sizes, self.exhaustive, self.fast
        )

    def reading(self) -> DataSettings:
        """What was done to the data.

        Raises:
            UsageError: a value means nothing.
        """
        return DataSettings(
            label_column=self.label_column,
            fill=cast("Fill | None", self.fill),
            layout=cast("Layout", self.layout),
            mean=self.mean,
            std=self.std,
            resize=_size(self.resize),
            crop=_size(self.crop),
            channels=cast("Channels | None", self.channels),
            scale=self.scale,
            preset=cast("Preset | None", self.preset),
            skip_bad_samples=self.skip_bad_samples,
            input=self.input,
            label=self.label,
            sample_memory=self.sample_memory,
            by=self.by,
        )

    def predictions(self) -> PredictionSettings:
        """By what the predictions were judged."""
        return PredictionSettings(self.output, None, self.task)


def _sides(size: Size | None) -> tuple[int, ...] | None:
    return (size,) if isinstance(size, int) else size


def _size(sides: tuple[int, ...] | None) -> Size | None:
    return sides[0] if sides is not None and len(sides) == 1 else cast("Size | None", sides)
