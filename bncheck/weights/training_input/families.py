"""The ways in which pictures are fed, as boxes that the mean and the spread of the values must lie in."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.results import ChannelsFed, InputFamily

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The mean and standard deviation that are usual for three channels in 0..1, red first."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where the mean and the standard deviation of pictures lie that are fed in one way.

    Boxes of one number of channels do not touch, and what lies between them is not known: a bright, flat picture in
    -1..1 has the numbers of a dark one in 0..1.

    Attributes:
        family: the way.
        mean: lowest and highest mean over all channels.
        std: lowest and highest standard deviation.
    """

    family: InputFamily
    mean: tuple[float, float]
    std: tuple[float, float]

    def holds(self, mean: tuple[float, float], std: tuple[float, float]) -> bool:
        """Whether both intervals lie within."""
        return self.mean[0] <= mean[0] and mean[1] <= self.mean[1] and self.std[0] <= std[0] and std[1] <= self.std[1]


COLOUR_BOXES = (
    Box(InputFamily.UNIT, (0.2, 0.68), (0.14, 0.4)),
    Box(InputFamily.BYTES, (51.0, 173.0), (36.0, 102.0)),
    Box(InputFamily.SYMMETRIC, (-0.6, 0.18), (0.42, 0.72)),
    Box(InputFamily.STANDARDISED, (-0.8, 0.8), (0.78, 1.6)),
    Box(InputFamily.CENTRED_BYTES, (-40.0, 30.0), (36.0, 102.0)),
)
"""Of pictures in colour: in 0..1 their mean lies between 0.2 and 0.68, their standard deviation between 0.14 and 0.4
(photographs: 0.4 to 0.5 and 0.2 to 0.3)."""
GRAY_BOXES = (
    Box(InputFamily.UNIT, (0.2, 0.68), (0.14, 0.42)),
    Box(InputFamily.BYTES, (51.0, 173.0), (36.0, 107.0)),
    Box(InputFamily.SYMMETRIC, (-0.78, 0.18), (0.42, 0.72)),
    Box(InputFamily.SYMMETRIC, (-0.78, -0.36), (0.42, 0.84)),
    Box(InputFamily.STANDARDISED, (-0.34, 0.6), (0.8, 1.3)),
    Box(InputFamily.CENTRED_BYTES, (-40.0, 20.0), (36.0, 107.0)),
)
"""Of gray ones, drawings and digits among them: darker, and of more contrast."""
COLOURS_APART = 0.16
"""How far apart the means of single colours lie at the most, in 0..1, where they were not standardised (photographs
0.08, faces 0.12): gray pictures that were standardised by ImageNet's constants lie 0.17 apart in -1..1."""
ORDER_APART = 0.025
"""Means in 0..1 by which the reds of photographs are brighter than their blues (ImageNet 0.08, COCO 0.06, CIFAR-10
0.04)."""
ORDER_BRIGHTNESS = (0.3, 0.6)
"""The mean in 0..1 of photographs; beyond it they may be anything, and which colour is brightest too."""
_TO_PIXELS = {
    InputFamily.UNIT: (1.0, 0.0),
    InputFamily.BYTES: (1 / 255, 0.0),
    InputFamily.SYMMETRIC: (0.5, 0.5),
}
"""Slope and intercept that make pixels in 0..1 of the values fed."""


def boxes_of(channels: int) -> tuple[Box, ...]:
    """The boxes for so many channels; none but for pictures in gray and in colour."""
    return {1: GRAY_BOXES, 3: COLOUR_BOXES}.get(channels, ())


def family_of(channels: int, mean: tuple[float, float], std: tuple[float, float]) -> InputFamily | None:
    """The one way in which pictures have such numbers, all of both intervals; `None` where there is none, or several.

    Args:
        channels: of the input.
        mean: lowest and highest that the mean over all channels may be.
        std: lowest and highest that the standard deviation may be.
    """
    found = {box.family for box in boxes_of(channels) if box.holds(mean, std)}
    return found.pop() if len(found) == 1 else None


def are_colours(family: InputFamily, means: tuple[float, ...]) -> bool:
    """Whether single colours may have these means where pictures are fed so."""
    slope, _ = _TO_PIXELS.get(family, (0.0, 0.0))
    return slope * (max(means) - min(means)) <= COLOURS_APART


def constants_of(
    family: InputFamily, channels: int, order: ChannelsFed | None
) -> tuple[float, tuple[float, ...] | None, tuple[float, ...] | None]:
    """Scale, mean and standard deviation that are usual in a family, in the order of the channels fed.

    `None` where each data set has its own.
    """
    backwards = -1 if order is ChannelsFed.BGR else 1
    mean, std = (values[::backwards] for values in IMAGENET)
    if family is InputFamily.UNIT:
        return 1.0, (0.0,), (1.0,)
    if family is InputFamily.BYTES:
        return 255.0, (0.0,), (1.0,)
    if family is InputFamily.SYMMETRIC:
        return 1.0, (0.5,), (0.5,)
    if channels != len(mean):
        return (1.0 if family is InputFamily.STANDARDISED else 255.0), None, None
    if family is InputFamily.STANDARDISED:
        return 1.0, mean, std
    return 255.0, tuple(round(255 * one, 3) for one in mean), (1.0,)


def order_of(family: InputFamily, means: tuple[float, ...], apart_error: float) -> ChannelsFed | None:
    """The order of three colours by their means, if they are photographs'; `None` where these are too much alike.

    Args:
        family: how they were fed; standardised colours are all alike.
        means: of the values, channel by channel.
        apart_error: how far off the first less the last may be.
    """
    if family not in _TO_PIXELS or len(means) != len(IMAGENET[0]):
        return None
    slope, intercept = _TO_PIXELS[family]
    first, middle, last = pixels = [slope * mean + intercept for mean in means]
    brightness = sum(pixels) / len(pixels)
    if not ORDER_BRIGHTNESS[0] <= brightness <= ORDER_BRIGHTNESS[1]:
        return None
    if abs(first - last) - slope * apart_error < ORDER_APART or not min(first, last) <= middle <= max(first, last):
        return None
    return ChannelsFed.RGB if first > last else ChannelsFed.BGR
