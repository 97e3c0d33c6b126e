"""How far an accuracy is from what guessing gives."""

from __future__ import annotations


def above_chance(share: float, classes: int | None) -> float:
    """The accuracy that lies a share of the way from a guess to perfect.

    Args:
        share: 0 for guessing, 1 for perfect.
        classes: how many there are; `None` where nobody says, then a guess is never right.
    """
    chance = 1 / classes if classes else 0.0
    return chance + share * (1 - chance)


def halfway_from_chance(classes: int | None) -> float:
    """The accuracy as near to that of a guess as to perfect."""
    return above_chance(0.5, classes)
