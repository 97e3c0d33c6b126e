"""How far an accuracy is from the guessing baseline."""

from __future__ import annotations

from bncheck.core.thresholds import THRESHOLDS


def above_guessing(share: float, classes: int | None) -> float:
    """Give the accuracy that lies a share of the way from a guess to perfect.

    Args:
        share: 0 for guessing, 1 for perfect.
        classes: how many there are; `None` where nobody says, then a guess is never right.
    """
    baseline = 1 / classes if classes else 0.0
    return baseline + share * (1 - baseline)


def poor_accuracy(classes: int | None) -> float:
    """Give the accuracy below which predictions are nearer to guesses than to perfect."""
    return above_guessing(THRESHOLDS.poor, classes)
