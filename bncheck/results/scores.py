"""Scores and other measures: what they are called, and how their values are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.codec import Written

METRIC = "metric"
SHARES = frozenset({"accuracy", "balanced accuracy", "agreement of neighbours"})
"""Scores that are shares of right ones, and are written in percent."""
COMMON_NOUNS = frozenset({METRIC, "relative squared error", "agreement of neighbours"})
"""Scores that are named with an article."""
GAP = "gap"
"""In standard deviations; what all tables are about, so that gaps are told without it."""
COUNTED = frozenset(
    {
        *("channel", "layer", "model", "tensor", "sample", "pixel", "call", "update"),
        *("batch", "value", "weight", "prediction"),
    }
)
"""The units of what is counted, in the singular."""


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

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the gain; of a loss, without the gain that so few samples may have missed.

        >>> Score("accuracy", True, 0.9, None, 0.65, -0.25, -0.375, 0.03, 100).interval
        (-0.375, -0.125)
        """
        if self.gain is None or self.low is None or self.high is None:
            return None
        return self.low, self.high if self.gain >= 0 else 2 * self.gain - self.low


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


def score_object(name: str) -> str:
    """The name within a sentence.

    >>> score_object("metric")
    'the metric'
    """
    return f"the {name}" if name in COMMON_NOUNS else name


def score_value(name: str, value: float | None) -> str:
    """A value of that score as people write it.

    >>> score_value("accuracy", 0.5), score_value("Dice", 0.5)
    ('50.0%', '0.5')
    """
    if value is None:
        return ""
    return f"{value:.1%}" if name in SHARES and math.isfinite(value) else f"{value:.3g}"


def is_count(unit: str) -> bool:
    """Whether values of that unit are counted, and so compared exactly."""
    return unit in COUNTED


def amount(value: float, unit: str | None) -> str:
    """A value with its unit.

    >>> amount(0.7612, "gap"), amount(64, "channel"), amount(0.1, "accuracy")
    ('0.761', '64 channels', '0.1 (accuracy)')
    """
    if unit is None or unit == GAP:
        return f"{value:.3g}"
    if is_count(unit):
        return f"{value:.9g} {unit}{'' if value == 1 else 'es' if unit.endswith('ch') else 's'}"
    return f"{value:.3g} ({unit})"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Top-1 accuracy (or the user's metric) with each set of statistics; recalibrated ones are cross-fitted."""

    stored: float | None
    batch: float | None
    recalibrated: float | None


@dataclass(frozen=True, slots=True)
class HeadEffect:
    """What the gap costs in one of several outputs that have labels of their own.

    Attributes:
        head: the output's name: its key or index, or its labels' where the outputs have lost theirs.
        task, score, loss: what it is judged by; see `Effect`.
        predictions_changed, output_change: see `Effect`.
    """

    head: str
    task: str | None
    score: Score | None
    loss: Score | None
    predictions_changed: float | None
    output_change: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What the gap costs in predictions.

    Attributes:
        predictions_changed: fraction that differs between stored and recalibrated statistics, the latter
            measured on the other half of the data; `None` for outputs that are no class scores.
        output_change: relative L2 change of the outputs between the two.
        accuracy: `None` without labels.
        task: the kind of task that the predictions are judged by; `None` where labels or outputs tell none.
        score: what that task is scored by; `None` without labels.
        loss: likewise; `None` for a user's metric.
        head: the output that all of this is about, the one that loses most, where several have labels of their own.
        heads: each of these; empty where there is one alone.
    """

    predictions_changed: float | None
    output_change: float | None
    accuracy: Accuracy | None
    task: str | None = None
    score: Score | None = None
    loss: Score | None = None
    head: str | None = None
    heads: tuple[HeadEffect, ...] = ()

    __json__: ClassVar = Written(added=frozenset({"task", "score", "loss", "head", "heads"}))
