"""Kinds of layers, and the columns of numbers about them, have their names here."""

from __future__ import annotations

KINDS = {
    "batch_norm": "batch",
    "instance_norm": "instance",
    "group_norm": "group",
    "layer_norm": "layer",
    "rms_norm": "rms",
}
IN_FILES = {"shift": "shift_max", "scale": "scale_min, scale_max", "own": "own_gap"}
"""What the columns are called in JSON and CSV, where that is another name."""
MEANINGS = {
    "shift": "the largest over the channels",
    "scale": "the range over the channels",
    "gap": "root mean square over the channels",
    "own": "the gap with upstream errors removed",
    "noise": "what sampling alone would show",
}
