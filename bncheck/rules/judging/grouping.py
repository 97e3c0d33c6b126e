"""Whether batches are random draws."""

from __future__ import annotations

from bncheck.core import THRESHOLDS, Exchangeability


def is_grouped(order: Exchangeability) -> bool:
    """Tell whether batches vary far more than chance allows, and by enough to matter."""
    beyond = order.ratio > order.chance + THRESHOLDS.beyond_chance * order.chance_spread
    return beyond and order.ratio > THRESHOLDS.ratio and order.correlation > THRESHOLDS.correlation
