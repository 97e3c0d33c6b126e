"""The units of measures: which of them are counted, and how an amount is told."""

from __future__ import annotations

GAP = "gap"
"""In standard deviations; what all tables are about, so that gaps are told without it."""
COUNTED = frozenset(
    {
        *("channel", "layer", "model", "tensor", "sample", "pixel", "call", "update"),
        *("batch", "value", "weight", "prediction"),
    }
)
"""The units of what is counted, in the singular."""


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
