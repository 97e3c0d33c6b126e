"""The ways in which pixels are fed to networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bncheck.core import FloatArray
from bncheck.results import InputFamily


@dataclass(frozen=True, slots=True)
class Convention:
    """Pixels p in 0..1 are fed as (scale p - mean) / std, per channel or the same for all.

    Attributes:
        name: what the fed values are called in a sentence.
        repeats: the name of the convention that it is when done once more.
        family: of the ways that a file's weights tell apart.
    """

    name: str
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    repeats: str | None = None
    family: InputFamily | None = None

    @property
    def slope(self) -> FloatArray:
        """What p is multiplied by."""
        return np.asarray(self.scale / np.array(self.std))

    @property
    def intercept(self) -> FloatArray:
        """What black is fed as."""
        return np.asarray(-np.array(self.mean) / np.array(self.std))

    def fits(self, channels: int) -> bool:
        """Whether there are constants for so many channels."""
        return len(self.mean) in (1, channels)


def _normalized(
    name: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    once: str | None = None,
    family: InputFamily = InputFamily.STANDARDISED,
) -> tuple[Convention, ...]:
    """Normalization by a mean and a standard deviation, done once, twice, and without scaling to 0..1 before."""
    twice = tuple(m * (1 + s) for m, s in zip(mean, std, strict=True)), tuple(s * s for s in std)
    called = once or f"0..1 normalized by {name}"
    return (
        Convention(called, 1.0, mean, std, family=family),
        Convention(f"0..1 normalized by {name} twice", 1.0, *twice, repeats=called),
        Convention(f"0..255 normalized by {name} (meant for 0..1)", 255.0, mean, std),
    )


UNIT = Convention("0..1", family=InputFamily.UNIT)
CONVENTIONS = (
    UNIT,
    Convention("0..255", 255.0, family=InputFamily.BYTES),
    *_normalized("mean 0.5 and std 0.5", (0.5,), (0.5,), once="-1..1", family=InputFamily.SYMMETRIC),
    Convention("0..16", 16.0),
    Convention("0..1 divided by 255 again", 1 / 255),
    Convention("0..128", 128.0),
    Convention("-0.5..0.5", 1.0, (0.5,)),
    Convention("-128..127", 255.0, (128.0,)),
    *_normalized("ImageNet's mean and std", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    *_normalized("CIFAR-10's mean and std", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    Convention("0..255 less ImageNet's mean", 255.0, (123.68, 116.78, 103.94), family=InputFamily.CENTRED_BYTES),
    Convention("0..255 less ImageNet's mean in BGR", 255.0, (103.94, 116.78, 123.68), family=InputFamily.CENTRED_BYTES),
    *_normalized("MNIST's mean and std", (0.1307,), (0.3081,)),
)
"""MNIST's constants are for one channel; they come last, so that nothing else is called by their name."""
FULL = CONVENTIONS[:2]
"""What pictures are read as: their values use all of 0..1, or of 0..255."""
