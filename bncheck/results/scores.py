"""What a model's predictions are judged by, how it is called, and how its values are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

METRIC = "metric"
SHARES = frozenset({"accuracy", "balanced accuracy", "agreement of neighbours"})
"""Scores that are shares of right ones, and are written in percent."""
COMMON_NOUNS = frozenset({METRIC, "relative squared error", "agreement of neighbours"})
"""Scores that are named with an article."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score or a loss with each set of statistics, and how sure the difference is.

    Attributes:
        name: what it is called.
        larger_is_better: which way it is better.
        stored: as shipped.
        batch: normalized by the batch; `None` where there was no such pass.
        recalibrated: by statistics of other samples.
        gain: by how much recalibrated is better.
        low, high: 95 % interval of the gain, the sample being the unit; `None` where it is not known.
        samples: that count.
    """

    name: str
    larger_is_better: bool
    stored: float | None
    batch: float | None
    recalibrated: float | None
    gain: float | None
    low: float | None
    high: float | None
    samples: int


def score_title(name: str) -> str:
    """The name at the beginning of a line.

    >>> score_title("balanced accuracy")
    'Balanced accuracy'
    """
    return name[:1].upper() + name[1:]


def score_subject(name: str) -> str:
    """The name at the beginning of a sentence.

    >>> score_subject("metric")
    'The metric'
    """
    return f"The {name}" if name in COMMON_NOUNS else score_title(name)


def score_value(name: str, value: float | None) -> str:
    """A value of that score as people write it.

    >>> score_value("accuracy", 0.5), score_value("Dice", 0.5)
    ('50.0%', '0.5')
    """
    if value is None:
        return ""
    return f"{value:.1%}" if name in SHARES and math.isfinite(value) else f"{value:.3g}"
