"""What a network was fed in training, as its first convolution and the norm behind it tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InputFamily(StrEnum):
    """Ways in which pictures are fed to networks that can be told apart by their values."""

    UNIT = "0..1"
    BYTES = "0..255"
    SYMMETRIC = "-1..1"
    STANDARDISED = "standardised"
    CENTRED_BYTES = "0..255 less a mean"


class ChannelsFed(StrEnum):
    """The order of three colours, first channel first."""

    RGB = "rgb"
    BGR = "bgr"


class Confidence(StrEnum):
    """How sure a claim is; what is less sure is none."""

    HIGH = "high"


@dataclass(frozen=True, slots=True)
class TrainingInput:
    """What a network was fed in training; there is none of these where that is not known.

    Attributes:
        channels: of the input.
        family: how pixels were fed.
        scale: factor on pixels in 0..1, before `mean` and `std`.
        mean, std: what was subtracted and divided by, one value per channel or one for all. Of standardised values
            those that are usual: the values tell that they were standardised, not by which constants; `None` where
            none are usual.
        order: of three colours, if these are photographs, whose reds are brighter than their blues; `None` where the
            channels are too much alike to tell.
        seen_mean: of the values fed, per channel, as the convolution's sums and the stored means tell.
        seen_std: of the values fed, over all channels, as the stored variances tell.
        convolution: name of the weights that tell it.
        norm: name of the layer whose statistics tell it.
        filters: how many of the convolution's filters were used.
        confidence: how sure it is.
    """

    channels: int
    family: InputFamily
    scale: float
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    order: ChannelsFed | None
    seen_mean: tuple[float, ...]
    seen_std: float
    convolution: str
    norm: str
    filters: int
    confidence: Confidence = Confidence.HIGH
