"""The eps that a network was trained with, as stored statistics tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingEps:
    """The eps that explain a file's stored statistics; there is none of these where that is not known.

    Attributes:
        low: the smallest that explains them; `None` where the smallest that was tried does too.
        high: the largest that explains them; `None` where the largest that was tried does too.
        best: the one that fits best, of those tried.
        tried: all that were tried, rising.
        distances: by each, RMS over the layers of the distance between stored and predicted means, in stored
            deviations.
        layers: names of those whose output tells it, because enough of their variances are small.
    """

    low: float | None
    high: float | None
    best: float
    tried: tuple[float, ...]
    distances: tuple[float, ...]
    layers: tuple[str, ...]

    def excludes(self, eps: float) -> bool:
        """Whether that eps lies outside of those that explain what is stored."""
        return (self.high is not None and eps > self.high) or (self.low is not None and eps < self.low)

    def distance_at(self, eps: float) -> float:
        """The distance at the one tried that is next to it on a logarithmic scale."""
        held = max(eps, self.tried[0])
        return min(zip(self.tried, self.distances, strict=True), key=lambda one: max(one[0] / held, held / one[0]))[1]
