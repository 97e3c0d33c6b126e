"""What leaves an instrumented graph, and what it is told: the names of those tensors."""

from __future__ import annotations

MEAN, SQUARES, SHAPE, VARIANCE = "mean", "squares", "shape", "variance"
CENTRE, REST, CENTRED_SQUARES = "centre", "rest", "centred_squares"
STORED_MEAN, STORED_VAR, BLOCKS, CHANNELS = "stored_mean", "stored_var", "blocks", "channels"
STORED_TAPS = (MEAN, SQUARES, SHAPE)
CENTRED_TAPS = (CENTRE, REST, CENTRED_SQUARES)
BATCH_TAPS = (MEAN, VARIANCE, SHAPE)


def tap_name(what: str, number: int) -> str:
    """The tensor `what` of the node of that number."""
    return f"bncheck::{what}.{number}"
